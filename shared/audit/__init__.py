"""Who changed what: the chain of audit events, the seal on its head, and what tells whether either was touched."""
