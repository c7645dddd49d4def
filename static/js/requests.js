// What htmx leaves open: focus, failures, and buttons while a request is under way.
let invalid = null;

document.addEventListener("htmx:after:settle", event => {
  // What was morphed into the page is not in it.
  for (const element of event.detail.newContent.filter(({isConnected}) => isConnected)) {
    invalid ??= element.matches?.("[aria-invalid=true]") ? element : element.querySelector?.("[aria-invalid=true]");
  }
  if (event.target === flashes) flashes.scrollIntoView({block: "nearest"});
  if (event.target !== dialogBody) return;
  // The question comes once nothing is wrong.
  for (const field of opener?.form?.querySelectorAll("[aria-invalid]") ?? []) forgetError(field);
  if (!dialogBody.childElementCount) dialog.close();
  else if (!dialog.open) dialog.showModal();
  (dialogBody.querySelector("[autofocus]") ?? document.getElementById("dialog-title"))?.focus();
});

document.addEventListener("htmx:after:swap", event => {
  const {sourceEvent} = event.detail.ctx;
  // Sent from the dialog, answered elsewhere: the dialog has done its work.
  if (sourceEvent?.type === "submit" && dialog.contains(sourceEvent.submitter)) dialog.close();
  if (event.detail.ctx.response?.status === 422) forgetWrongPassword();
  invalid?.focus();
  invalid = null;
});

// A search goes on as it was typed when the person comes back to it. In a frame the address is the webmail's.
document.addEventListener("htmx:after:swap", ({detail: {ctx: {sourceElement}}}) => {
  if (sourceElement?.dataset?.kept === undefined || parent !== window) return;
  const asked = [...new FormData(sourceElement)].filter(([, value]) => value);
  history.replaceState(history.state, "", `${location.pathname}?${new URLSearchParams(asked)}`);
});

// A form that is shown again keeps what was typed: no password comes back from the server. A wrong one alone goes.
function forgetWrongPassword() {
  for (const input of document.querySelectorAll("[autocomplete=current-password][aria-invalid=true]")) input.value = "";
}

// GET changes nothing, nor does a POST that says so; of any other it is not known whether it arrived.
function reportFailure({request, sourceElement}) {
  const harmless = request.method === "GET" || "changesNothing" in sourceElement.dataset;
  say(harmless ? flashes.dataset.unreachable : flashes.dataset.uncertain);
}

document.addEventListener("htmx:error", event => {
  if (event.detail.ctx) reportFailure(event.detail.ctx);
});

document.addEventListener("htmx:before:swap", event => {
  const {ctx} = event.detail;
  const {raw, status} = ctx.response;
  // A whole page never belongs into a part of one: follow a redirection (the session has ended), report an error.
  const wholePage = /^\s*<(!doctype|html)/i.test(ctx.text);
  if (wholePage && raw.redirected) location.assign(raw.url);
  // The form takes its like out of the page, and with hx-select nothing else.
  else if (wholePage && ctx.select && status === 422) return;
  // A check may come after the form that used the link up, and may not keep the browser from where that leads.
  else if (wholePage && status === 410 && !("changesNothing" in ctx.sourceElement.dataset)) location.reload();
  else if (status >= 500 && !ctx.hx.retarget) reportFailure(ctx);
  else if (wholePage) say(flashes.dataset.refused);
  else return;
  event.preventDefault();
});

// What is pressed stays where it is until it is let go: an answer that comes in between waits, because its content may
// move or replace the button, and the press would be lost.
let letGo = () => {};
let untilLetGo = Promise.resolve();

document.addEventListener("pointerdown", ({button}) => {
  letGo();
  if (button === 0) untilLetGo = new Promise(resolve => letGo = resolve);
}, true);
for (const end of ["pointerup", "pointercancel", "contextmenu"]) {
  // The click comes after the pointerup.
  document.addEventListener(end, () => setTimeout(letGo), true);
}

document.addEventListener("htmx:before:response", event => {
  const {raw} = event.detail.ctx.response;
  const read = raw.text.bind(raw);
  raw.text = async () => {
    const text = await read();
    await untilLetGo;
    return text;
  };
});

// aria-disabled and not disabled, which would take the focus away; hx-sync="drop" refuses the second press.
function markButtons(form, busy) {
  for (const button of form.elements ?? []) {
    if (button.type === "submit") button.ariaDisabled = busy || null;
  }
}

// An ordinary form says so too, as long as its page stands. What is downloaded leaves the page, and the press is over.
document.addEventListener("submit", event => {
  const {submitter, target} = event;
  if (event.defaultPrevented || !submitter || target.matches("[hx-post], [hx-get], [data-downloads]")) return;
  submitter.ariaBusy = "true";
});
// The browser's Back may show the page as it was left.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("[aria-busy]")) button.ariaBusy = null;
});

document.addEventListener("htmx:before:request", event => markButtons(event.detail.ctx.sourceElement, true));
document.addEventListener("htmx:finally:request", event => markButtons(event.detail.ctx.sourceElement, false));
