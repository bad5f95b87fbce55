import type { Cycle } from "../types";

export interface FamilyError {
  family: string;
  mae: number;
  mdape: number | null;
  n: number;
}

/** The families whose mean error is largest, worst first. */
export function worstFamilies(cycle: Pick<Cycle, "metrics">, most: number): FamilyError[] {
  return Object.entries(cycle.metrics?.by_family ?? {})
    .flatMap(([family, figures]) => {
      const mae = figures.mae;
      if (!mae || mae.value === null) return [];
      return [{ family, mae: mae.value, mdape: figures.mdape?.value ?? null, n: mae.n }];
    })
    .sort((one, other) => other.mae - one.mae)
    .slice(0, most);
}
