import { useMemo } from "react";
import type { Draft, DraftOperation } from "./draft";
import { type KnownOperation, useOperations } from "./knowledge";

export const OPERATION_LIST = "known-operations";
const CENTRES = "known-centres-";

export type KnownOperations = ReadonlyMap<string, KnownOperation>;

/** The operations of the active model by their code; none while they are not known. */
export function useKnownOperations(): KnownOperations {
  const operations = useOperations();
  return useMemo(() => new Map(operations.map((each) => [each.operation_code, each])), [operations]);
}

/** The lists that operation codes and work centres are completed from: the centres of each code that the draft has. */
export function KnownCodes({ known, draft }: { known: KnownOperations; draft: Draft }) {
  const codes = [...new Set(draft.operations.map((each) => each.operation_code))];
  return (
    <>
      <datalist id={OPERATION_LIST}>
        {[...known.values()].map((each) => (
          <option key={each.operation_code} value={each.operation_code} label={each.operation_name ?? undefined} />
        ))}
      </datalist>
      {codes.map((code) => {
        const centres = known.get(code)?.work_centres ?? [];
        return centres.length ? (
          <datalist key={code} id={CENTRES + code}>
            {centres.map((each) => (
              <option key={each.resource_code} value={each.resource_code} label={each.resource_name ?? undefined} />
            ))}
          </datalist>
        ) : null;
      })}
    </>
  );
}

/** Return the id of the list of a code's work centres. */
export function centresListOf(known: KnownOperations, code: string): string | undefined {
  return known.get(code)?.work_centres.length ? CENTRES + code : undefined;
}

/** Return the change that a typed code makes: with it come its name and, where nobody planned anything yet, its usual place and times. */
export function withUsual(known: KnownOperations, code: string, before: DraftOperation): Partial<DraftOperation> {
  const usual = known.get(code);
  const isBlank = before.resource_code === null && before.setup_minutes === 0 && before.run_minutes_per_unit === 0;
  const named = { operation_code: code, operation_name: usual?.operation_name ?? null };
  if (!usual || !isBlank) return named;
  return {
    ...named,
    resource_code: usual.work_centres[0]?.resource_code ?? null,
    inside: usual.inside,
    setup_minutes: usual.setup_minutes ?? 0,
    run_minutes_per_unit: usual.run_minutes_per_unit ?? 0,
  };
}
