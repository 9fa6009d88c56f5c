// Shows how far a reconciliation is, as the server reports it: text and a value, no markup.
const section = document.querySelector("[data-reconcile]");
const source = new EventSource(section.dataset.reconcile);

source.onmessage = (event) => {
  const seen = JSON.parse(event.data);
  section.querySelector("progress").value = seen.compared;
  for (const name of ["compared", "found"]) {
    section.querySelector(`[data-figure="${name}"]`).textContent = seen[name];
  }
  if (!seen.running) {
    source.close();
    location.reload(); // the result is there
  }
};
