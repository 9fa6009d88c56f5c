// Shows how far a running bulk run is, as the server tells it: text and a value, no markup.
const section = document.querySelector("[data-progress]");
const figure = (name) => section.querySelector(`[data-figure="${name}"]`);
const STEP = 10; // percent, between two announcements to a screen reader

let announced = -1;

function show(told) {
  for (const name of ["begun", "items", "percent", "a_minute", "ends_at"]) {
    figure(name).textContent = told[name];
  }
  section.querySelector("progress").value = told.percent;
  for (const [state, count] of Object.entries(told.counts)) {
    document.querySelector(`[data-count="${state}"]`).textContent = count;
  }
  const step = Math.floor(told.percent / STEP) * STEP;
  if (step > announced) {
    announced = step;
    const status = figure("said");
    status.textContent = status.dataset.words + step;
  }
}

if (section) {
  const live = figure("live");
  const source = new EventSource(section.dataset.progress);
  source.onmessage = (event) => {
    const told = JSON.parse(event.data);
    show(told);
    if (live) live.textContent = told.state;
    if (!told.running) {
      source.close();
      location.reload(); // its next step is another one now
    }
  };
}
