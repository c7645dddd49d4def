// Pages are not kept, so whoever goes back to a form finds it empty. A form with data-draft leaves what was typed in the
// tab's history, for the account that it names; passwords never.
const draft = document.querySelector("form[data-draft]");

function typedFields() {
  return [...draft.elements].filter(field => field.name && !["hidden", "password", "submit"].includes(field.type));
}

function keepDraft() {
  const values = Object.fromEntries(typedFields().map(({name, value}) => [name, value]));
  history.replaceState({draft: {of: draft.dataset.draft, values}}, "");
}

// Once htmx has started, so that what is said about the values follows them. What stands there already stays: some
// browsers bring it back themselves.
function restoreDraft() {
  const kept = history.state?.draft;
  if (kept?.of !== draft.dataset.draft) return;
  for (const field of typedFields()) {
    if (field.value === (field.defaultValue ?? field.value)) field.value = kept.values[field.name] ?? "";
    field.dispatchEvent(new Event("input", {bubbles: true}));
  }
}

if (draft) {
  // htmx starts on a timer too, which was set before this one.
  setTimeout(restoreDraft);
  draft.addEventListener("change", keepDraft);
  draft.addEventListener("submit", keepDraft);
}
