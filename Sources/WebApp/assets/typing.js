// Whoever types is here: the session does not end under their hands, and if it has ended, they are told before they send.
let asked = Date.now();

const warn = () => {
  if (document.getElementById("signed-out")) return;
  const words = document.createElement("p");
  words.id = "signed-out";
  words.className = "notice bad";
  words.setAttribute("role", "alert");
  words.textContent = "You are signed out: copy what you have typed, then sign in in another tab.";
  document.getElementById("content").prepend(words);
};

const touch = async () => {
  if (Date.now() - asked < 60000) return;
  asked = Date.now();
  try {
    const answer = await fetch("/touch", { redirect: "manual", signal: AbortSignal.timeout(8000) });
    if (answer.status === 401) warn();
  } catch {
    // Away for the moment: the next key asks again.
  }
};

export const keepSession = () => document.addEventListener("input", touch);
