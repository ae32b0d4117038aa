// The optional sound. A browser lets a page sound only after somebody has touched it: until then it says that it waits.
const box = () => document.getElementById("sound");
let speaker = null;

const show = () => {
  const isWaiting = box().checked && (!speaker || speaker.state !== "running");
  document.getElementById("sound-waiting").hidden = !isWaiting;
};

const wake = () => {
  if (box().checked && !speaker) {
    speaker = new AudioContext();
    speaker.addEventListener("statechange", show);
  }
  if (speaker && speaker.state === "suspended") speaker.resume();
  show();
};

const tone = (from, to) => {
  if (!box().checked || !speaker) return;
  const source = speaker.createOscillator();
  const volume = speaker.createGain();
  volume.gain.value = 0.15;
  source.frequency.value = from;
  source.connect(volume).connect(speaker.destination);
  source.start();
  source.frequency.setValueAtTime(to, speaker.currentTime + 0.2);
  source.stop(speaker.currentTime + 0.5);
};

// Up for a red that is new; down when the page is no longer live.
export const ringForRed = () => tone(660, 880);
export const ringForLoss = () => tone(440, 330);

export const offerSound = () => {
  document.getElementById("sound-choice").hidden = false;
  box().checked = localStorage.getItem("sound") === "on";
  box().addEventListener("change", () => {
    localStorage.setItem("sound", box().checked ? "on" : "off");
    wake();
  });
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, wake);
  wake();
};
