// Shows the messages of the trial as they arrive, and the bank's time.

const EVERY = 1000;
const list = document.getElementById("messages");
const model = document.getElementById("message").content;
let shown = "";

async function look() {
  const { now, messages } = await (await fetch("/messages", { headers: { Accept: "application/json" } })).json();
  document.getElementById("now").textContent = now;
  const text = JSON.stringify(messages);
  if (text === shown) return;
  if (shown) document.getElementById("said").textContent = document.getElementById("said").dataset.words;
  shown = text;
  document.getElementById("none").hidden = messages.length > 0;
  list.replaceChildren(...messages.map((one) => {
    const item = model.cloneNode(true);
    const [to, at, subject, body] = item.querySelectorAll("strong, span");
    [to.textContent, at.textContent, subject.textContent, body.textContent] = [`${one.channel}　${one.to}`, one.at, one.subject, one.body];
    return item;
  }));
}

for (;;) {
  await look().catch(() => {}); // the bank was stopped: what was shown stays
  await new Promise((resolve) => { setTimeout(resolve, EVERY); });
}
