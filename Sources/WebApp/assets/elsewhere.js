// On a page about one patient: says when a red arrives elsewhere, and when nobody could say so.
import { listen } from "./feed.js";
import { Reds } from "./reds.js";

let line = null;
const say = (words, isBad) => {
  if (!line) {
    line = document.createElement("p");
    line.id = "elsewhere";
    line.setAttribute("role", "status");
    document.getElementById("content").prepend(line);
  }
  line.className = isBad ? "elsewhere bad" : "elsewhere";
  line.textContent = words;
};

let told = "";
let heard = Date.now();
let asking = false;
const look = async () => {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("/?part=reds&auto=1", { redirect: "manual", signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error("not now");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = new Reds(page.getElementById("reds")).takeNew();
    if (fresh.length) {
      told = "New red: " + fresh.map((red) => red.words).join(", ") + ". It is on the worklist.";
      say(told, false);
    } else if (told) {
      say(told, false);
    } else if (line) {
      line.remove();
      line = null;
    }
  } catch {
    lost();
  } finally {
    asking = false;
  }
};
const lost = () => say("Not live: a red elsewhere is not told of here at the moment.", true);

export const watchElsewhere = () => {
  const again = listen((kind, words) => {
    if (kind === "error") return;
    heard = Date.now();
    const isLost = line && line.textContent !== told;
    if (kind === "away") lost();
    else if (kind === "changed" || words === "hello" || isLost) look();
  });
  setInterval(() => {
    if (Date.now() - heard < 12000) return;
    lost();
    heard = Date.now();
    again();
  }, 4000);
};
