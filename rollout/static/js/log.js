/* Log tails follow their end, unless the reader scrolled up; then they stay where he reads. */
const NEAR = 24;
const reading = new WeakSet();

function follow() {
  for (const log of document.querySelectorAll(".log[data-follow]")) {
    if (!reading.has(log)) log.scrollTop = log.scrollHeight;
  }
}

document.addEventListener("scroll", (event) => {
  const log = event.target;
  if (!(log instanceof Element) || !log.matches(".log[data-follow]")) return;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  if (atEnd) reading.delete(log);
  else reading.add(log);
}, true);

document.addEventListener("htmx:after:swap", follow);
document.addEventListener("toggle", follow, true);
follow();
