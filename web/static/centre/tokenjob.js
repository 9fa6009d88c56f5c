// Follows a renewal that a station writes: reloads the page when it has come further.

const EVERY = 2000;

export function start() {
  const job = document.getElementById("job");
  const look = async () => {
    try {
      const answer = await fetch(`/token/renewals/${job.dataset.renewal}/state`, { headers: { Accept: "application/json" } });
      if (answer.status === 401) { location.href = "/login?ended=1"; return; }
      const { stage, over } = await answer.json();
      if (over || String(stage) !== job.dataset.stage) { location.reload(); return; }
    } catch { /* the line is down: it is asked again */ }
    setTimeout(look, EVERY);
  };
  setTimeout(look, EVERY);
}
