"""Which functions an instance runs: all, those that answer requests, or those that work in the background."""

from collections.abc import Collection

ROLES = ("all", "inference", "training")

# Every function that no HTTP request triggers; a test compares this with the function app.
BACKGROUND_FUNCTIONS = frozenset(
    {
        "start_extract",
        "run_extract",
        "start_quality_cycle",
        "run_quality_cycle",
        "start_training",
        "retrain_model",
        "notice_model_package",
        "register_model",
        "bury_extract",
        "bury_quality_cycle",
        "bury_retraining",
        "bury_registration",
        "bury_blob",
        "sweep",
    }
)


def disabling_settings(role: str, function_names: Collection[str]) -> dict[str, str]:
    """Return the app settings that switch off what `role` does not run, given every function's name."""
    unwanted: Collection[str] = ()
    if role == "inference":
        unwanted = BACKGROUND_FUNCTIONS
    elif role == "training":
        unwanted = set(function_names) - BACKGROUND_FUNCTIONS
    return {f"AzureWebJobs.{name}.Disabled": "true" for name in sorted(unwanted)}
