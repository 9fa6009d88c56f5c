// Asks once more, in words, before a certificate is revoked or suspended.

export async function start() {
  const form = document.getElementById("end");
  const dialog = document.getElementById("ask");
  if (!form || !dialog) return;
  form.addEventListener("submit", (event) => {
    if (event.submitter?.hasAttribute("formaction") || form.elements.sure.value === "yes") return;
    event.preventDefault();
    dialog.showModal();
    document.getElementById("no").focus(); // the harmless one
  }, true);
  document.getElementById("no").addEventListener("click", () => dialog.close());
  document.getElementById("yes").addEventListener("click", () => {
    form.elements.sure.value = "yes";
    dialog.close();
    form.requestSubmit();
  });
}
