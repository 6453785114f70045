/* Dangerous forms ask first, in our own dialog: <form data-confirm="what will happen" data-confirm-title data-confirm-yes>. */
const dialog = document.getElementById("confirm-dialog");
const agreed = new WeakSet();
let asked = null;

document.addEventListener("submit", (event) => {
  const form = event.target;
  const source = event.submitter?.dataset.confirm ? event.submitter : form;
  if (!dialog || !source.dataset.confirm || agreed.has(form)) {
    agreed.delete(form);
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  ask(form, event.submitter, source.dataset);
}, true);

function ask(form, submitter, words) {
  asked = { form, submitter };
  dialog.querySelector("h2").textContent = words.confirmTitle || "Are you sure?";
  dialog.querySelector("[data-confirm-text]").textContent = words.confirm;
  dialog.querySelector("[data-agree]").textContent = words.confirmYes || submitter?.textContent.trim() || "Yes, do it";
  dialog.showModal();
  dialog.querySelector("[data-decline]").focus();
}

dialog?.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-decline]")) dialog.close();
  if (!event.target.closest("[data-agree]")) return;
  const { form, submitter } = asked;
  dialog.close();
  agreed.add(form);
  if (submitter?.isConnected) form.requestSubmit(submitter);
  else form.requestSubmit();
});

/* A second click must not send a second request. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog" || form.method === "get") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 8000);
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));
