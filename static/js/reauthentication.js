// A form that asks for the password: it is checked first, so that a wrong one costs nothing that was typed, chosen or
// asked in the dialog. Once it is right its field is gone, and the form is sent.
// Whatever else sends the form waits for that, so the event is taken before it arrives there.
// The request comes from an element outside the form: of the form nothing but the password travels with it.
flashes.dataset.changesNothing = "";

document.addEventListener("submit", async event => {
  const form = event.target;
  const field = form.querySelector("[data-check]");
  if (!field || !window.htmx) return;
  event.preventDefault();
  event.stopPropagation();
  if (form.ariaBusy) return;
  form.ariaBusy = "true";
  const {check, within} = field.dataset;
  const values = {
    csrf_token: form.elements.csrf_token.value,
    current_password: field.querySelector("[name=current_password]").value,
    within,
  };
  try {
    await htmx.ajax("POST", check, {source: flashes, target: field, swap: "outerHTML", values});
  } finally {
    form.ariaBusy = null;
  }
  if (form.isConnected && !form.querySelector("[data-check]")) form.requestSubmit(event.submitter);
}, true);
