import { useCallback, useEffect, useState } from "react";
import { flushSync } from "react-dom";
import { useTranslation } from "react-i18next";
import { AddItems, type Way } from "./add/AddItems";
import { FileMenu, OpenFile } from "./Files";
import { ItemList } from "./ItemList";
import { PrintSheets } from "./PrintSheets";
import { RoutingPanel } from "./RoutingPanel";
import "./planner.css";
import { useWork } from "./useWork";
import { nextUndecided, type WorkItem } from "./work";

type Adding = { way: Way; change?: WorkItem } | null;

/** Items on the left, and on the right either the way to more of them, or the routing of the one that is looked at. */
export function PlannerPage() {
  const { t } = useTranslation();
  const { work, step, isRestored, isKept, away } = useWork();
  const [adding, setAdding] = useState<Adding>(null);
  const [way, setWay] = useState<Way>("find");
  const [printed, setPrinted] = useState<WorkItem[]>([]);
  const active = work.items.find((item) => item.query.item_code === work.active);
  const open = useCallback(
    (code: string) => {
      setAdding(null);
      step({ kind: "open", code });
    },
    [step],
  );
  const goOn = useCallback(
    (direction: 1 | -1) => {
      const code = nextUndecided(work, direction);
      if (code) open(code);
    },
    [work, open],
  );
  useStepKeys(goOn);
  usePrinting(active, setPrinted);
  const print = (items: WorkItem[]) => {
    flushSync(() => setPrinted(items));
    window.print();
  };
  const isAdding = adding !== null || !active;
  return (
    <div className="planner">
      <section className="left" aria-label={t("planner.items")}>
        <div className="row">
          <button
            type="button"
            className={isAdding ? "" : "main"}
            disabled={isAdding}
            onClick={() => setAdding({ way })}
          >
            + {t("planner.addItems")}
          </button>
          <OpenFile
            onOpened={(routings) => {
              setAdding(null);
              step({ kind: "openFile", routings });
            }}
          />
        </div>
        {away && (
          <p className="complaint" role="status">
            {t("planner.waitingForService")} {away.detail}
          </p>
        )}
        {!isKept && <p className="complaint">{t("planner.notKept")}</p>}
        {work.overtaken.length > 0 && (
          <p className="complaint" role="status">
            {t("planner.overtaken", { codes: work.overtaken.join(", ") })}{" "}
            <button type="button" onClick={() => step({ kind: "seen" })}>
              {t("planner.close")}
            </button>
          </p>
        )}
        <ItemList
          work={work}
          step={step}
          onOpen={open}
          files={<FileMenu items={work.items} label={t("planner.all")} onPrint={() => print(work.items)} />}
        />
        {isRestored && !work.items.length && <p className="hint">{t("planner.begin")}</p>}
      </section>
      <section className="right" aria-label={isAdding ? t("planner.addItems") : t("planner.routing")}>
        {isAdding || !active ? (
          <AddItems
            key={adding?.change?.query.item_code ?? "add"}
            work={work}
            way={adding?.change ? "new" : (adding?.way ?? way)}
            change={adding?.change ?? null}
            onWay={(chosen) => {
              setWay(chosen);
              setAdding({ way: chosen });
            }}
            onAdd={(wanted, quantity, isStaying) => {
              step({ kind: "add", wanted, quantity });
              setAdding(isStaying ? { way } : null);
            }}
            onChange={(query) => {
              step({ kind: "again", code: query.item_code, query });
              setAdding(null);
            }}
            onClose={active ? () => setAdding(null) : null}
          />
        ) : (
          <RoutingPanel
            key={active.query.item_code}
            item={active}
            work={work}
            step={step}
            onNext={() => goOn(1)}
            onAttributes={() => setAdding({ way: "new", change: active })}
            files={<FileMenu items={[active]} label={t("planner.takeAlong")} onPrint={() => print([active])} />}
          />
        )}
      </section>
      <PrintSheets items={printed} />
    </div>
  );
}

/** Alt+N goes to the next item that nobody decided on, Alt+Shift+N to the one before. */
function useStepKeys(goOn: (direction: 1 | -1) => void) {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (!event.altKey || event.ctrlKey || event.code !== "KeyN") return;
      event.preventDefault();
      goOn(event.shiftKey ? -1 : 1);
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [goOn]);
}

/** The browser's own print command prints the item that is looked at. */
function usePrinting(active: WorkItem | undefined, setPrinted: (change: (before: WorkItem[]) => WorkItem[]) => void) {
  useEffect(() => {
    const begin = () => flushSync(() => setPrinted((before) => (before.length || !active ? before : [active])));
    const end = () => setPrinted(() => []);
    window.addEventListener("beforeprint", begin);
    window.addEventListener("afterprint", end);
    return () => {
      window.removeEventListener("beforeprint", begin);
      window.removeEventListener("afterprint", end);
    };
  }, [active, setPrinted]);
}
