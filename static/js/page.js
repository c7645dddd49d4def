// The files of this folder are joined into one script and share one scope.
const flashes = document.getElementById("flashes");
const dialog = document.getElementById("dialog");
const dialogBody = document.getElementById("dialog-body");

document.documentElement.classList.add("script");

// While the dialog is open the page behind it is inert, so the sentence stands in the dialog.
function say(sentence) {
  const flash = document.getElementById("flash-template").content.firstElementChild.cloneNode(true);
  flash.querySelector("p").textContent = sentence;
  (dialog.open ? document.getElementById("dialog-flashes") : flashes).replaceChildren(flash);
  flash.scrollIntoView({block: "nearest"});
}

function forgetError(field) {
  document.getElementById(`${field.id}-error`)?.remove();
  field.removeAttribute("aria-invalid");
}

document.querySelector("[aria-invalid=true]")?.focus();

// The button "Undo" leaves when it is too late; who is on it stays at the message.
for (const done of document.querySelectorAll("form[data-seconds]")) {
  setTimeout(() => {
    const button = done.querySelector("button");
    if (button === document.activeElement) {
      done.tabIndex = -1;
      done.focus();
    }
    button.remove();
  }, done.dataset.seconds * 1000);
}
