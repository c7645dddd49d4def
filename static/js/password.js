// Show and hide, copy, and suggest a password; send a new one composed.
const newPassword = "input[autocomplete=new-password]";

function reveal(input, shown) {
  input.type = shown ? "text" : "password";
  document.querySelector(`[data-reveal="#${input.id}"]`)?.setAttribute("aria-pressed", shown);
}

// So that no browser keeps a shown password among its form entries.
document.addEventListener("submit", event => {
  for (const button of event.target.querySelectorAll("[data-reveal][aria-pressed=true]")) {
    reveal(document.querySelector(button.dataset.reveal), false);
  }
}, true);

// Some systems type a letter and its accent as two characters: mail programs send them as one.
function compose(input) {
  const composed = input.value.normalize("NFC");
  if (composed !== input.value) input.value = composed;
}

// Once the field is left, so that the cursor stays where the person types.
document.addEventListener("change", ({target}) => {
  if (target.matches?.(newPassword)) compose(target);
}, true);

// What a password manager fills in may come without any of these.
document.addEventListener("submit", event => {
  for (const input of event.target.querySelectorAll(newPassword)) compose(input);
}, true);

async function copy(button) {
  const source = document.querySelector(button.dataset.copy);
  const result = button.nextElementSibling;
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    result.textContent = button.dataset.copied;
  } catch {
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    result.textContent = button.dataset.copyFailed;
  }
}

// Without characters that look alike, and without quotes.
const characterClasses = ["ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz", "23456789", "-_.!@#%&*+=?:;"];

function randomBelow(limit) {
  const byte = new Uint8Array(1);
  do crypto.getRandomValues(byte); while (byte[0] >= 256 - 256 % limit);
  return byte[0] % limit;
}

// A whole password is thrown away until one holds every class: all that are left are equally likely.
function randomPassword(length = 20) {
  const all = characterClasses.join("");
  for (;;) {
    const password = Array.from({length}, () => all[randomBelow(all.length)]);
    if (characterClasses.every(some => password.some(character => some.includes(character)))) return password.join("");
  }
}

function fill(button, password) {
  for (const input of document.querySelectorAll(button.dataset.suggest)) {
    input.value = password;
    reveal(input, true);
    input.dispatchEvent(new Event("input", {bubbles: true}));
  }
  for (const element of button.closest(".field").querySelectorAll("[data-suggested]")) element.hidden = false;
}

// A proposal's button puts its value into the field; without this script it sends it.
document.addEventListener("click", event => {
  const proposal = event.target.closest("[data-fill]");
  if (!proposal) return;
  event.preventDefault();
  const input = document.querySelector(proposal.dataset.fill);
  input.value = proposal.value;
  input.dispatchEvent(new Event("input", {bubbles: true}));
  input.focus();
});

document.addEventListener("click", event => {
  const button = event.target.closest("[data-reveal], [data-copy], [data-suggest]");
  if (!button) return;
  if (button.dataset.reveal) {
    reveal(document.querySelector(button.dataset.reveal), button.getAttribute("aria-pressed") !== "true");
  } else if (button.dataset.copy) {
    copy(button);
  } else if (document.querySelector(button.dataset.kind)?.value === "passphrase") {
    document.querySelector(button.dataset.source).dispatchEvent(new CustomEvent("postern:suggest"));
  } else {
    fill(button, randomPassword());
  }
});

// A passphrase comes from the server, because the word list stays there.
document.addEventListener("htmx:after:settle", event => {
  const button = event.target.id && document.querySelector(`[data-suggest][data-source="#${event.target.id}"]`);
  if (!button || !event.target.textContent.trim()) return;
  fill(button, event.target.textContent.trim());
  event.target.textContent = "";
});

// So that no browser brings a secret back that was shown once.
addEventListener("pagehide", () => {
  for (const element of document.querySelectorAll("[data-forget]")) element.remove();
});
