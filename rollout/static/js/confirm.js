/* Dangerous forms ask first, in our own dialog: <form data-confirm="what will happen" data-confirm-title data-confirm-yes>.
   Loaded in the head and not deferred: a form on the page must never be quicker than the question. */
(() => {
  const agreed = new WeakSet();
  let asked = null;

  const parts = () => {
    const dialog = document.getElementById("confirm-dialog");
    return { dialog, title: dialog.querySelector("h2"), text: dialog.querySelector("[data-confirm-text]"), yes: dialog.querySelector("[data-agree]"), no: dialog.querySelector("[data-decline]") };
  };

  function ask(form, submitter, words) {
    const { dialog, title, text, yes, no } = parts();
    asked = { form, submitter };
    title.textContent = words.confirmTitle || "Are you sure?";
    text.textContent = words.confirm;
    yes.textContent = words.confirmYes || submitter?.textContent.trim() || "Yes, do it";
    dialog.showModal();
    no.focus();
  }

  function go() {
    const { form, submitter } = asked;
    agreed.add(form);
    if (submitter?.isConnected) form.requestSubmit(submitter);
    else form.requestSubmit();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const source = event.submitter?.dataset.confirm ? event.submitter : form;
    if (!source.dataset.confirm || agreed.delete(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (document.getElementById("confirm-dialog")) ask(form, event.submitter, source.dataset);
  }, true);

  document.addEventListener("click", (event) => {
    const dialog = event.target.closest?.("#confirm-dialog");
    if (!dialog) return;
    const agree = event.target.closest("[data-agree]");
    if (agree || event.target === dialog || event.target.closest("[data-decline]")) dialog.close();
    if (agree) go();
  });

  /* A second click must not send a second request. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 8000);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));
})();
