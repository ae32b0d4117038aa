// The one connection on which the server tells all tabs of this browser what happens: a shared worker. A browser opens six
// to a host; with one for each tab, the sixth would leave none for the lists themselves.
"use strict";
const ports = new Set();
let source = null;
let heard = 0;

const tell = (kind, words) => {
  for (const port of ports) port.postMessage({ kind, words });
};

const connect = () => {
  if (source) source.close();
  heard = Date.now();
  source = new EventSource("/events");
  for (const kind of ["pulse", "changed", "away"]) {
    source.addEventListener(kind, (event) => {
      heard = Date.now();
      tell(kind, event.data);
    });
  }
  source.addEventListener("signed-out", () => {
    source.close();
    tell("signed-out", "");
  });
  source.addEventListener("error", () => tell("error", ""));
};

// A connection may die without a word.
const isDead = () => !source || source.readyState === EventSource.CLOSED || Date.now() - heard > 10000;

const answer = (port, word) => {
  if (word === "bye") {
    ports.delete(port);
    return;
  }
  ports.add(port);
  if (isDead()) connect();
  else if (source.readyState === EventSource.OPEN) port.postMessage({ kind: "pulse", words: "hello" });
};

addEventListener("connect", (event) => {
  const port = event.ports[0];
  port.addEventListener("message", (message) => answer(port, message.data));
  port.start();
});
