// Where the keyboard is in a part of the page that is about to be replaced, and the same place afterwards.
const stops = "a[href], button, summary, input:not([type=hidden]), select, textarea";
const within = (part, patient) =>
  (patient ? Array.from(part.querySelectorAll("tr.row")).find((row) => row.dataset.patient === patient) : part);

export const focusOf = (part) => {
  const element = document.activeElement;
  if (!element || !part.contains(element)) return null;
  const row = element.closest("tr.row");
  const patient = row && row.dataset.patient;
  const place = Array.from((row || part).querySelectorAll(stops)).indexOf(element);
  return { patient, id: element.id, href: element.getAttribute("href"), name: element.nodeName, place };
};

export const takeFocus = (part, focus) => {
  if (!focus) return;
  const home = within(part, focus.patient) || part;
  const all = Array.from(home.querySelectorAll(stops));
  const found = (focus.id && document.getElementById(focus.id))
    || (focus.href && all.find((element) => element.getAttribute("href") === focus.href))
    || (all[focus.place] && all[focus.place].nodeName === focus.name && all[focus.place])
    // What was done is gone: the row's own link.
    || all[0];
  if (found) found.focus({ preventScroll: true });
};
