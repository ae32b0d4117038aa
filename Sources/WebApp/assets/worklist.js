// Keeps the worklist live, and says so only as long as it is.
import { listen } from "./feed.js";
import { focusOf, takeFocus } from "./focus.js";
import { Reds } from "./reds.js";
import { offerSound, ringForLoss, ringForRed } from "./sound.js";

// Milliseconds: a list that is older than this is not live, whatever else is heard.
const oldest = 45000;
const silence = 12000;
const patience = 8000;

const list = () => document.getElementById("list");
const live = document.getElementById("live");
const announce = document.getElementById("announce");

let state = "";
let fresh = Date.now();
let heard = Date.now();
let isAway = false;
let isEnded = false;
let isLeaving = false;
let again = () => {};

// MARK: What it says of itself

const show = (next, words) => {
  document.title = { on: "", wait: "", lost: "NOT LIVE – ", ended: "SIGNED OUT – " }[next]
    + (next === "on" || next === "wait" ? list().dataset.title : "Worklist") + " – Homeward";
  if (state === next && live.textContent === words) return;
  if (state === "on" && next !== "on" && !isLeaving) ringForLoss();
  state = next;
  live.hidden = false;
  live.className = "live live-" + ({ on: "on", wait: "wait" }[next] || "off");
  live.textContent = words;
  document.body.classList.toggle("stale", next !== "on");
};
const lost = () => {
  if (!isEnded) show("lost", "Not live: this is as at " + list().dataset.at);
};
const end = () => {
  isEnded = true;
  show("ended", "Signed out: this is as at " + list().dataset.at + ". Reload to sign in.");
  announce.textContent = "You are signed out. The worklist is no longer live.";
};
const judge = () => {
  if (isEnded) return;
  if (isAway || Date.now() - heard > silence || Date.now() - fresh > oldest) lost();
  else show("on", "Live");
};

// MARK: The list

const tellOfReds = () => {
  const arrived = new Reds(list()).takeNew();
  if (!arrived.length) return;
  announce.textContent = "New red: " + arrived.map((red) => red.words).join(", ");
  for (const row of document.querySelectorAll("#list tr.row")) {
    if (arrived.some((red) => red.patient === row.dataset.patient)) row.classList.add("arrived");
  }
  ringForRed();
};

// A click is not lost because its button was replaced between press and release.
let release = null;
let released = Promise.resolve();
const watchPointer = () => {
  const done = () => {
    if (release) setTimeout(release, 200);
    release = null;
  };
  document.addEventListener("pointerdown", () => {
    if (!release) released = new Promise((next) => { release = next; setTimeout(next, 2000); });
  });
  for (const kind of ["pointerup", "pointercancel"]) document.addEventListener(kind, done);
};

const put = (text) => {
  const next = new DOMParser().parseFromString(text, "text/html").getElementById("list");
  // Another has signed in here: the rest of this page is not theirs.
  if (next.dataset.viewer !== list().dataset.viewer) { location.reload(); return; }
  const focus = focusOf(list());
  const wasOpen = !!list().querySelector("details[open]");
  list().replaceWith(next);
  if (wasOpen) for (const part of next.querySelectorAll("details")) part.open = true;
  takeFocus(next, focus);
  fresh = Date.now();
  tellOfReds();
  judge();
};

// MARK: Asking for it

// Somebody is here: asking for the list then counts as use of the session.
let isActive = false;
const place = () => {
  const query = new URLSearchParams(location.search);
  query.set("part", "list");
  if (!isActive) query.set("auto", "1"); else query.delete("auto");
  query.delete("done");
  isActive = false;
  return "/?" + query;
};

const ask = async () => {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  try {
    const options = { headers: { "Accept": "text/html" }, redirect: "manual", signal: stop.signal };
    const answer = await fetch(place(), options);
    // Without its cookie the page is sent to sign in.
    if (answer.status === 401 || answer.type === "opaqueredirect") { end(); return; }
    if (!answer.ok) { lost(); return; }
    const text = await answer.text();
    await released;
    put(text);
  } catch (failure) {
    lost();
  } finally {
    clearTimeout(timer);
  }
};

let isAsking = false;
let askAgain = false;
let asked = 0;
// Twice a second at most, however much there is to tell.
const refresh = async () => {
  if (isAsking) { askAgain = true; return; }
  if (isEnded) return;
  isAsking = true;
  const wait = asked + 500 - Date.now();
  if (wait > 0) await new Promise((done) => setTimeout(done, wait));
  asked = Date.now();
  await ask();
  isAsking = false;
  if (askAgain) { askAgain = false; refresh(); }
};

const hear = (kind, words) => {
  if (isEnded) return;
  if (kind === "error") { lost(); return; }
  heard = Date.now();
  isAway = kind === "away";
  if (isAway) lost();
  // The list says whether this tab is meant, or somebody who was signed in before.
  else if (kind === "signed-out") refresh().then(() => { if (!isEnded) again(); });
  // Connected (again): what happened meanwhile is unknown.
  else if (kind === "changed" || words === "hello" || state !== "on") refresh();
};

export const keepLive = () => {
  for (const kind of ["pointerdown", "keydown", "wheel"]) {
    document.addEventListener(kind, () => { isActive = true; }, { passive: true });
  }
  addEventListener("beforeunload", () => {
    isLeaving = true;
    setTimeout(() => { isLeaving = false; }, 5000);
  });
  watchPointer();
  offerSound();
  show("wait", "Connecting…");
  tellOfReds();
  again = listen(hear);
  setInterval(() => {
    if (isEnded) return;
    if (Date.now() - heard > silence) again();
    if (state !== "wait" || Date.now() - heard > silence) judge();
  }, 4000);
  // Ages grow without news.
  setInterval(refresh, 30000);
};
