// What the server tells as it happens, by the connection that all tabs share, or one of this tab's own where the browser
// has no shared workers.

const own = (tell) => {
  let source = null;
  let connected = 0;
  const connect = () => {
    if (Date.now() - connected < 10000) return;
    connected = Date.now();
    if (source) source.close();
    source = new EventSource("/events");
    for (const kind of ["pulse", "changed", "away"]) {
      source.addEventListener(kind, (event) => tell(kind, event.data));
    }
    source.addEventListener("signed-out", () => {
      source.close();
      tell("signed-out", "");
    });
    source.addEventListener("error", () => tell("error", ""));
  };
  connect();
  return connect;
};

const shared = (tell) => {
  let again = null;
  const worker = new SharedWorker("/assets/stream.js");
  const say = (word) => worker.port.postMessage(word);
  worker.port.addEventListener("message", (event) => tell(event.data.kind, event.data.words));
  worker.port.start();
  worker.addEventListener("error", () => {
    if (!again) again = own(tell);
  });
  addEventListener("pagehide", () => say("bye"));
  addEventListener("pageshow", (event) => {
    if (event.persisted) say("again");
  });
  say("hello");
  return () => (again ? again() : say("again"));
};

// Calls `tell` with each event's kind and words. Returns what connects anew, when nothing has been heard for long.
export const listen = (tell) => (typeof SharedWorker === "function" ? shared(tell) : own(tell));
