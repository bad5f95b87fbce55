import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLocation } from "wouter";
import { ChangeDialog } from "../parts/Dialog";
import { addressOf } from "../parts/parts";
import type { Cycle } from "../types";

const STRATEGIES = ["random", "stratified", "recent", "error_seeking"] as const;

/** Asks for a cycle; what is left empty is as the configuration says. */
export function StartCycle({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [, go] = useLocation();
  const [size, setSize] = useState("");
  const [strategy, setStrategy] = useState("");
  const [seed, setSeed] = useState("");
  const body = {
    ...(size && { sample_size: Number(size) }),
    ...(strategy && { strategy }),
    ...(seed && { seed: Number(seed) }),
  };
  return (
    <ChangeDialog<Cycle>
      title={t("operations.startCycle")}
      action={t("operations.start")}
      change={() => ({ method: "POST", path: "quality/cycles", body })}
      onDone={(cycle) => go(addressOf("quality", cycle.id))}
      onClose={onClose}
    >
      <p className="hint">{t("operations.startCycleSays")}</p>
      <label>
        {t("operations.sampleSize")}
        <input type="number" min={10} max={10_000} value={size} onChange={(event) => setSize(event.target.value)} />
      </label>
      <label>
        {t("operations.strategyName")}
        <select value={strategy} onChange={(event) => setStrategy(event.target.value)}>
          <option value="">{t("operations.asConfigured")}</option>
          {STRATEGIES.map((each) => (
            <option key={each} value={each}>
              {t(`operations.strategy.${each}`)}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t("operations.seed")}
        <input type="number" min={0} max={2 ** 31 - 1} value={seed} onChange={(event) => setSeed(event.target.value)} />
      </label>
    </ChangeDialog>
  );
}
