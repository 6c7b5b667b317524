"use strict";
// Commands that can be copied, and the start of the maps. Without scripts the page shows the maps as
// pictures.

function copy(button) {
  const text = button.parentElement.querySelector("pre");
  getSelection().selectAllChildren(text);
  navigator.clipboard?.writeText(text.textContent).catch(() => {});
  button.textContent = "copied";
  setTimeout(() => (button.textContent = "copy"), 1500);
}

document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copy(button)));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
if ("DecompressionStream" in window) document.querySelectorAll("[data-map]").forEach(openMap);
