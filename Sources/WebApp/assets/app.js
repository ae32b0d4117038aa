// What the page does with script. Everything works without it: the worklist is then loaded again each minute.
import { listenToKeys } from "./keys.js";
import { keepSession } from "./typing.js";
import { watchElsewhere } from "./elsewhere.js";
import { keepLive } from "./worklist.js";

listenToKeys();
if (document.getElementById("list")) {
  keepLive();
} else if (document.querySelector("header form")) {
  keepSession();
  watchElsewhere();
}
