// data-dialog on a link: its address is fetched into the one dialog. On a submit button the attribute's value is the
// address: the form is sent there, to be checked, and the question comes once nothing is wrong with it.
let opener = null;

document.addEventListener("click", event => {
  const close = event.target.closest("#dialog [data-close]");
  if (close) {
    event.preventDefault();
    dialog.close();
    return;
  }
  const asked = event.target.closest("[data-dialog]");
  if (!asked || !window.htmx || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (opener || asked.form?.reportValidity() === false) return;
  if (asked.form) makeReady(asked.form);
  opener = asked;
  asked.ariaDisabled = true;
  const answer = asked.form
    ? htmx.ajax("POST", asked.dataset.dialog, {source: asked, target: dialogBody, swap: "innerHTML"})
    : htmx.ajax("GET", asked.href, dialogBody);
  answer.finally(() => {
    asked.ariaDisabled = null;
    if (!dialog.open) opener = null;
  });
});

dialog.addEventListener("close", () => {
  dialogBody.replaceChildren();
  document.getElementById("dialog-flashes").replaceChildren();
  // A swap may have replaced the opener by its like, and the menu that it stood in has closed.
  const back = opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id);
  opener = null;
  if (!back || document.activeElement !== document.body) return;
  const menu = back.closest("[popover]");
  (menu ? document.querySelector(`[popovertarget="${menu.id}"]`) : back).focus();
});

document.addEventListener("postern:close-dialog", () => dialog.close());
