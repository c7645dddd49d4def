// data-dialog on a link: its address is fetched into the one dialog. On a submit button the
// attribute's value is the address; the form is checked first, and none of its values travel with the GET,
// because the request is made for the page's body and not for the button or its form.
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
  opener = asked;
  asked.ariaDisabled = true;
  htmx.ajax("GET", asked.dataset.dialog || asked.href, dialogBody).finally(() => {
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
