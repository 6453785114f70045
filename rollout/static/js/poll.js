/* Polling manners for htmx: ETag and 304, no polling in a hidden tab, a strip when the server stopped answering.
   A fetch that carries If-None-Match itself sees the 304 (the browser's cache would hide it as a 200), and htmx does
   not swap on 304 (config noSwap). */
const tags = new Map();
const strip = document.querySelector("[data-stale]");
let lastAnswer = new Date();
/* A form that proves who one is gives the session another key. What is asked meanwhile comes back as if signed out: so
   nothing is asked once a form is sent, and only what still comes back like that a while later is believed. */
const SENDING_MS = 30000, DOUBT_MS = 4000;
let sendingUntil = 0, doubtedSince = 0;
document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented && event.target.method === "post") sendingUntil = Date.now() + SENDING_MS;
});
window.addEventListener("pageshow", () => { sendingUntil = 0; });

const isPoll = (ctx) => ctx.request.method === "GET" && ctx.sourceEvent?.type === "every";

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  if (!isPoll(ctx)) return;
  if (document.hidden || Date.now() < sendingUntil) {
    event.preventDefault();
    return;
  }
  const tag = tags.get(ctx.request.action) ?? ctx.sourceElement.dataset.etag;
  if (tag) ctx.request.headers["If-None-Match"] = tag;
});

document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  const answer = ctx.response;
  if (!isPoll(ctx) || !answer) return;
  if (answer.raw.redirected && new URL(answer.raw.url).pathname !== new URL(ctx.request.action, location.href).pathname) {
    event.preventDefault();
    signedOut();
    return;
  }
  doubtedSince = 0;
  const tag = answer.headers.get("ETag");
  if (tag && answer.status === 200) tags.set(ctx.request.action, tag);
  if (answer.status < 500) heard();
  else silent();
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail?.ctx && isPoll(event.detail.ctx)) silent();
});

function signedOut() {
  const now = Date.now();
  doubtedSince ||= now;
  if (now - doubtedSince < DOUBT_MS || now < sendingUntil) return;
  location.reload(); // the whole page goes to the sign-in, not a part of it
}

function heard() {
  lastAnswer = new Date();
  if (strip) strip.hidden = true;
}

function silent() {
  if (!strip || !strip.hidden) return;
  const since = strip.querySelector("[data-stale-since]");
  since.dateTime = lastAnswer.toISOString();
  since.textContent = lastAnswer.toLocaleTimeString([], { hour12: false });
  strip.hidden = false;
}
