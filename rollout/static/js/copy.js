/* Copy buttons: any [data-copy], also those that arrive by polling. */
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const done = await copy(button.dataset.copy);
  const announce = document.getElementById("announce");
  if (announce) announce.textContent = done ? "Copied" : "Could not copy; select the text instead";
  if (!done) return;
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1600);
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text); // no clipboard API outside https and localhost
  }
}

function copyByHand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
