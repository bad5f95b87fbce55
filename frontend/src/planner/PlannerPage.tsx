import { useTranslation } from "react-i18next";
import { AskForItems } from "./AskForItems";
import { ItemList } from "./ItemList";
import { RoutingPanel } from "./RoutingPanel";
import { useWork } from "./work";

export function PlannerPage() {
  const { t } = useTranslation();
  const { work, step, predict } = useWork();
  const active = work.items.find((item) => item.query.item_code === work.active);
  return (
    <div className="planner">
      <section className="left" aria-label={t("planner.items")}>
        <AskForItems onAsk={(queries, quantity) => void predict(queries, quantity)} quantity={work.quantity} />
        <ItemList
          items={work.items}
          active={work.active}
          onOpen={(code) => step({ kind: "open", code })}
          onClear={() => step({ kind: "clear" })}
        />
      </section>
      <section className="right" aria-label={t("planner.routing")}>
        {active ? (
          <RoutingPanel key={active.query.item_code} item={active} quantity={work.quantity} step={step} />
        ) : (
          <p className="hint">{t("planner.begin")}</p>
        )}
      </section>
    </div>
  );
}
