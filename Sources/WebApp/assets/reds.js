// Which open reds there are: each once for each time that it spoke, whether or not this page shows its patient.

export class Reds {
  // Of a part of a page that the server made.
  constructor(part) {
    this.viewer = part.dataset.viewer;
    this.all = Array.from(part.querySelectorAll(".reds li"))
      .map((item) => ({ key: item.dataset.alert, patient: item.dataset.patient, words: item.textContent }));
  }

  // Those that this tab has not told of; told they are from now on. A tab that shows them for the first time tells of none.
  takeNew() {
    const told = JSON.parse(sessionStorage.getItem("reds") || "null");
    sessionStorage.setItem("reds", JSON.stringify({ viewer: this.viewer, keys: this.all.map((red) => red.key) }));
    if (!told || told.viewer !== this.viewer) return [];
    return this.all.filter((red) => !told.keys.includes(red.key));
  }
}
