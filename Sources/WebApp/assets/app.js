// Keeps the worklist live. Everything works without it, reloaded each minute.
"use strict";
(() => {
  const list = () => document.getElementById("list");
  const live = document.getElementById("live");
  const announce = document.getElementById("announce");
  const sound = document.getElementById("sound");

  // Keys: j and k move, Enter opens, / searches; the worklist tells the others.
  const rows = () => Array.from(document.querySelectorAll("#list tr.row"));
  const stops = () => (list() ? rows() : Array.from(document.querySelectorAll("article.alert")));
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
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "/") {
      const search = document.getElementById("search");
      if (!search) return;
      search.focus();
      search.select();
    } else if (event.key === "m" && list()) mine();
    else if (event.key === "t" && list()) location.assign("/minor");
    else if (event.key === "?" && list()) unfold("keys");
    else if (event.key === "c" && !list()) { if (!unfold("do-calls")) return; }
    else if (event.key === "r" && !list()) { if (!unfold("do-readings")) return; }
    else if (event.key === "u" && !list() && !document.getElementById("code")) location.assign("/");
    else return;
    event.preventDefault();
  });

  if (!live || !list()) return;

  // Somebody is here: asking for the list then counts as use of the session.
  let active = false;
  for (const kind of ["pointerdown", "keydown", "wheel"]) {
    document.addEventListener(kind, () => { active = true; }, { passive: true });
  }

  document.getElementById("sound-choice").hidden = false;
  sound.checked = localStorage.getItem("sound") === "on";
  let speaker = null;
  const awake = () => {
    if (!speaker && sound.checked) speaker = new AudioContext();
    if (speaker && speaker.state === "suspended") speaker.resume();
  };
  sound.addEventListener("change", () => {
    localStorage.setItem("sound", sound.checked ? "on" : "off");
    awake();
  });
  document.addEventListener("pointerdown", awake);
  const ring = () => {
    if (!sound.checked || !speaker) return;
    const tone = speaker.createOscillator();
    const volume = speaker.createGain();
    volume.gain.value = 0.15;
    tone.frequency.value = 660;
    tone.connect(volume).connect(speaker.destination);
    tone.start();
    tone.frequency.setValueAtTime(880, speaker.currentTime + 0.2);
    tone.stop(speaker.currentTime + 0.5);
  };

  let heard = Date.now();
  let state = "";
  const show = (next, words) => {
    live.hidden = false;
    if (state === next && live.textContent === words) return;
    state = next;
    live.className = "live live-" + next;
    live.textContent = words;
    document.body.classList.toggle("stale", next !== "on");
  };
  const asAt = () => (list() ? list().dataset.at : "");
  const lost = () => show("off", "Not live: this is as at " + asAt());
  const signedOut = () => {
    show("off", "Signed out: this is as at " + asAt() + ". Reload to sign in.");
    announce.textContent = "You are signed out. The worklist is no longer live.";
  };

  const reds = () => new Map(rows().filter((row) => row.dataset.state === "red")
    .map((row) => [row.dataset.patient, row.querySelector("th a").textContent]));

  let asking = false;
  let again = false;
  let ended = false;
  let asked = 0;
  // Twice a second at most, however much there is to tell.
  const refresh = async () => {
    if (asking) { again = true; return; }
    asking = true;
    const wait = asked + 500 - Date.now();
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    asked = Date.now();
    try {
      const query = new URLSearchParams(location.search);
      query.set("part", "list");
      if (!active) query.set("auto", "1"); else query.delete("auto");
      query.delete("done");
      active = false;
      const answer = await fetch("/?" + query, { headers: { "Accept": "text/html" }, redirect: "manual" });
      if (answer.status === 401) { ended = true; signedOut(); return; }
      if (!answer.ok) { lost(); return; }
      const before = reds();
      const focus = document.activeElement && document.activeElement.closest("tr.row");
      const patient = focus && focus.dataset.patient;
      const wasOpen = !!list().querySelector("details[open]");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("list");
      list().replaceWith(fresh);
      if (wasOpen) for (const part of list().querySelectorAll("details")) part.open = true;
      if (patient) {
        const row = rows().find((row) => row.dataset.patient === patient);
        if (row) row.querySelector("a").focus();
      }
      const arrived = Array.from(reds()).filter(([patient]) => !before.has(patient));
      if (arrived.length) {
        announce.textContent = "New red: " + arrived.map(([, name]) => name).join(", ");
        for (const row of rows()) {
          if (arrived.some(([patient]) => patient === row.dataset.patient)) row.classList.add("arrived");
        }
        ring();
      }
      document.title = (reds().size ? "(" + reds().size + " red) " : "") + "Worklist – Homeward";
      show("on", "Live");
    } catch (failure) {
      lost();
    } finally {
      asking = false;
      if (again && !ended) { again = false; refresh(); }
    }
  };

  let source = null;
  const listen = () => {
    if (source) source.close();
    source = new EventSource("/events");
    const alive = () => { heard = Date.now(); };
    source.addEventListener("pulse", (event) => {
      alive();
      // Connected (again): what happened meanwhile is unknown.
      if (event.data === "hello" || state !== "on") refresh();
    });
    source.addEventListener("changed", () => { alive(); refresh(); });
    source.addEventListener("away", () => { alive(); lost(); });
    source.addEventListener("signed-out", () => { ended = true; source.close(); signedOut(); });
    source.addEventListener("error", () => { if (!ended) lost(); });
  };
  show("wait", "Connecting…");
  listen();
  // Ages grow without news, and a connection may die without a word.
  setInterval(() => {
    if (ended) return;
    if (Date.now() - heard > 12000) {
      lost();
      heard = Date.now();
      listen();
    }
  }, 4000);
  setInterval(() => { if (!ended) refresh(); }, 30000);
})();
