// What polls stops while nobody looks, and comes back slowly after failures. Everything else works without scripts.
(() => {
  const LONGEST_MS = 30000, SHORTEST_MS = 2000;
  let pause = 0, resumes = 0;
  const polls = (event) => event.detail.ctx?.sourceElement?.id === "page";
  const failed = () => {
    pause = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, pause * 2));
    resumes = Date.now() + pause;
    document.body.classList.add("stale");
  };
  document.addEventListener("htmx:before:request", (event) => {
    if (polls(event) && (document.hidden || Date.now() < resumes)) event.preventDefault();
  });
  document.addEventListener("htmx:after:request", (event) => {
    if (!polls(event)) return;
    if (event.detail.ctx.response.status >= 400) {
      event.preventDefault();
      failed();
      return;
    }
    pause = 0;
    document.body.classList.remove("stale");
  });
  document.addEventListener("htmx:error", failed);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button || !navigator.clipboard) return;
    navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
  });
})();
