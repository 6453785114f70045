/* Keyboard: ? help, / search, g + letter to go. None for approve, start or roll back, on purpose. */
const WAIT_MS = 1200;
let goUntil = 0;

const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key === "?") {
    document.getElementById("keys-dialog")?.showModal();
  } else if (event.key === "/") {
    const search = document.querySelector("input[type=search], [data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
  } else if (event.key === "g") {
    goUntil = Date.now() + WAIT_MS;
  } else if (Date.now() < goUntil && /^[a-z]$/.test(event.key)) {
    goUntil = 0;
    document.querySelector(`#nav [data-key="${event.key}"]`)?.click();
  }
});

document.getElementById("keys-dialog")?.addEventListener("click", (event) => {
  if (event.target === event.currentTarget) event.currentTarget.close();
});
