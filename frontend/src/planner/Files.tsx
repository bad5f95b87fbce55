import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Complaint } from "../app/Complaint";
import { download, FORMS, type Form, opened, routingsOf } from "./files";
import type { OpenedRouting, WorkItem } from "./work";

interface MenuProps {
  items: WorkItem[];
  label: string;
  onPrint: () => void;
}

/** Take routings along as they are on the screen: as a file of six forms, or on paper. */
export function FileMenu({ items, label, onPrint }: MenuProps) {
  const { t } = useTranslation();
  const menu = useRef<HTMLDetailsElement>(null);
  const writing = useMutation({ mutationFn: (form: Form) => download(items, form) });
  const count = routingsOf(items).length;
  useClosing(menu);
  const close = () => {
    if (menu.current) menu.current.open = false;
  };
  return (
    <div className="menu">
      <details ref={menu}>
        <summary>{label}</summary>
        <ul>
          {FORMS.map((form) => (
            <li key={form}>
              <button
                type="button"
                className="quiet"
                disabled={!count}
                onClick={() => {
                  writing.mutate(form);
                  close();
                }}
              >
                {t(`planner.form.${form.replace(".", "_")}`)}
              </button>
            </li>
          ))}
          <li>
            <button
              type="button"
              className="quiet"
              disabled={!count}
              onClick={() => {
                close();
                onPrint();
              }}
            >
              {t("planner.print")}
            </button>
          </li>
        </ul>
      </details>
      {writing.error && <Complaint error={writing.error} />}
    </div>
  );
}

/** A menu closes with Escape and when something else is clicked. */
function useClosing(menu: React.RefObject<HTMLDetailsElement | null>) {
  useEffect(() => {
    const close = (event: Event) => {
      const details = menu.current;
      if (!details?.open) return;
      const isElsewhere = event.target instanceof Node && !details.contains(event.target);
      const isEscape = event instanceof KeyboardEvent && event.key === "Escape";
      if (isEscape || (event.type === "click" && isElsewhere)) details.open = false;
      if (isEscape) details.querySelector("summary")?.focus();
    };
    document.addEventListener("click", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("click", close);
      document.removeEventListener("keydown", close);
    };
  }, [menu]);
}

/** Open a file of routings: each comes back as a working copy. */
export function OpenFile({ onOpened }: { onOpened: (routings: OpenedRouting[]) => void }) {
  const { t } = useTranslation();
  const chooser = useRef<HTMLInputElement>(null);
  const reading = useMutation({ mutationFn: opened, onSuccess: onOpened });
  return (
    <>
      <button type="button" disabled={reading.isPending} onClick={() => chooser.current?.click()}>
        {t("planner.openFile")}
      </button>
      <input
        ref={chooser}
        type="file"
        hidden
        accept=".xlsx,.csv,.json"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) reading.mutate(file);
          event.target.value = ""; // so that the same file can be opened again
        }}
      />
      {reading.error && <Complaint error={reading.error} />}
    </>
  );
}
