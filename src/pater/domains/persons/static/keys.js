// Single keys of the review queue. Everything they do, the buttons and links of the page do too.
"use strict";

const KEEP = "pater.keys";
const help = document.querySelector("[data-keys]");
const on = document.querySelector("[data-keys-on]");

if (help && on) {
  help.hidden = false;
  on.checked = localStorage.getItem(KEEP) !== "off";
  on.addEventListener("change", () => localStorage.setItem(KEEP, on.checked ? "on" : "off"));
}

// The next or previous case of the list gets the focus; on a case's page the next one is opened.
function step(by) {
  const links = [...document.querySelectorAll("[data-step]")];
  if (links.length) {
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)].focus();
  } else if (by > 0) {
    document.querySelector("[data-next]")?.click();
  } else {
    history.back();
  }
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (!on || !on.checked || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.repeat) return; // a key that is held down decides one case, not several
  if (event.key === "?") help.open = !help.open;
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click();
});
