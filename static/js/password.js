// Show and hide, copy, and suggest a password; send a new one composed.
const newPassword = "input[autocomplete=new-password]";

// Its button says what it does next.
function reveal(input, shown) {
  const button = document.querySelector(`[data-reveal="#${input.id}"]`);
  if (!button || shown === (input.type === "text")) return;
  input.type = shown ? "text" : "password";
  [button.textContent, button.dataset.hide] = [button.dataset.hide, button.textContent];
}

// A shown password is hidden, so that no browser keeps it among its form entries. What a password manager filled in
// may have come without any event.
function makeReady(form) {
  for (const button of form.querySelectorAll("[data-reveal]")) reveal(document.querySelector(button.dataset.reveal), false);
  for (const input of form.querySelectorAll(newPassword)) compose(input);
}

document.addEventListener("submit", event => makeReady(event.target), true);

// What repeats the password may still become the same; once it is left, or cannot, it differs.
document.addEventListener("input", ({target}) => compare(target.form, true));
// A field is left when a button is pressed: what is said then would move it away.
document.addEventListener("change", async ({target}) => {
  await untilLetGo;
  compare(target.form, false);
});

function compare(form, typing) {
  const repeated = form?.querySelector("[data-repeats]");
  if (!repeated) return;
  const [value, again] = [document.querySelector(repeated.dataset.repeats), repeated].map(each => each.value.normalize());
  const same = typing && document.activeElement === repeated ? value.startsWith(again) : value === again;
  const said = repeated.closest(".field").querySelector("[data-differs]");
  if (same) forgetError(repeated);
  said.textContent = same || !again || repeated.ariaInvalid ? "" : said.dataset.differs;
}

// Some systems type a letter and its accent as two characters: mail programs send them as one.
function compose(input) {
  const composed = input.value.normalize("NFC");
  if (composed !== input.value) input.value = composed;
}

// Once the field is left, so that the cursor stays where the person types.
document.addEventListener("change", ({target}) => {
  if (target.matches?.(newPassword)) compose(target);
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

// The first proposal stands in the field until the person types another.
document.addEventListener("htmx:after:settle", ({target}) => {
  const proposal = target.querySelector?.("[data-fill]");
  const input = proposal && document.querySelector(proposal.dataset.fill);
  if (!input || input.value !== (input.dataset.proposed ?? "") || input.value === proposal.value) return;
  input.value = input.dataset.proposed = proposal.value;
  input.dispatchEvent(new Event("input", {bubbles: true}));
});

// A whole address that is pasted chooses its domain.
document.addEventListener("change", ({target}) => {
  const choice = target.id && document.querySelector(`[data-domain-of="#${target.id}"]`);
  const [, name, domain] = choice && /^\s*([^@]+)@([^@\s]+)\s*$/.exec(target.value) || [];
  const chosen = domain && [...choice.options].find(each => [each.value, each.text].includes(domain.toLowerCase()));
  if (chosen) [target.value, choice.value] = [name, chosen.value];
});

document.addEventListener("click", event => {
  const button = event.target.closest("[data-reveal], [data-copy], [data-suggest]");
  if (!button) return;
  if (button.dataset.reveal) {
    const input = document.querySelector(button.dataset.reveal);
    reveal(input, input.type === "password");
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
