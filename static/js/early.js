// Runs before the page is drawn, and alone: the other files come after it. A press on a button that asks in the dialog
// waits for the script that opens it; where that script does not arrive, the button works as without JavaScript.
(() => {
  "use strict";
  let pressed = null;

  function hold(event) {
    const button = event.target.closest("button[data-dialog]");
    if (!button) return;
    event.preventDefault();
    pressed = button;
    pressed.ariaDisabled = true;
  }

  document.addEventListener("click", hold);
  // Comes after the deferred script, whether that arrived or failed.
  document.addEventListener("DOMContentLoaded", () => {
    document.removeEventListener("click", hold);
    // No dialog will say what a press ends: the page does.
    document.documentElement.classList.toggle("alone", !document.documentElement.classList.contains("script"));
    if (!pressed) return;
    pressed.ariaDisabled = null;
    pressed.click();
  });
})();
