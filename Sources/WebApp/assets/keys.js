// Keys: j and k move, Enter opens, / searches; the worklist tells the others. Whoever speaks to the browser, or rests a
// hand on the keyboard, can turn them off.
const list = () => document.getElementById("list");
const stops = () => Array.from(document.querySelectorAll(list() ? "#list tr.row" : "article.alert"));

const go = (step) => {
  const all = stops();
  if (!all.length) return;
  const now = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
  next.querySelector("a, button, summary").focus();
  next.scrollIntoView({ block: "nearest" });
};

const unfold = (id) => {
  const part = document.getElementById(id);
  if (!part) return false;
  part.open = true;
  const field = part.querySelector("select, input:not([type=hidden]), textarea") || part.querySelector("summary");
  field.focus();
  return true;
};

const mine = () => {
  const query = new URLSearchParams(location.search);
  if (query.get("who") === "mine") query.delete("who"); else query.set("who", "mine");
  query.delete("page");
  location.assign("/?" + query);
};

const search = () => {
  const field = document.getElementById("search");
  if (!field) return false;
  field.focus();
  field.select();
  return true;
};

const onWorklist = { m: mine, t: () => location.assign("/minor"), "?": () => unfold("keys") };
const onPatient = {
  c: () => unfold("do-calls"),
  r: () => unfold("do-readings"),
  u: () => (document.getElementById("code") ? false : location.assign("/")),
};
const everywhere = { j: () => go(1), k: () => go(-1), "/": search };

const press = (event) => {
  if (localStorage.getItem("keys") === "off") return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = everywhere[event.key] || (list() ? onWorklist : onPatient)[event.key];
  if (act && act() !== false) event.preventDefault();
};

export const listenToKeys = () => {
  document.addEventListener("keydown", press);
  const choice = document.getElementById("keys-choice");
  if (!choice) return;
  choice.hidden = false;
  const box = document.getElementById("keys-on");
  box.checked = localStorage.getItem("keys") !== "off";
  box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
};
