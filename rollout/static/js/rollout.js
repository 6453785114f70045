/* Tells with a decision whether the reader opened the details of the difference; without script nothing is claimed. */
document.addEventListener("toggle", (event) => {
  if (!(event.target instanceof Element) || !event.target.matches("details[data-difference][open]")) return;
  document.querySelectorAll("input[data-diff-opened]").forEach((field) => { field.value = "1"; });
}, true);
