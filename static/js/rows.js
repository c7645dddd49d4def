// After an action in a row of a table the answer leads back to the row, or to the heading above where it was, by the
// fragment of its address. The focus goes to the row's menu; where the row is gone, to the row that follows.
const keyOfRows = `postern:rows:${location.pathname}`;

// A frame may not be allowed to remember anything: then the fragment has to do.
function remember(rows) {
  try {
    sessionStorage.setItem(keyOfRows, rows.join(" "));
  } catch { /* See above. */ }
}

function recall() {
  try {
    return (sessionStorage.getItem(keyOfRows) ?? "").split(" ");
  } catch {
    return [];
  }
}

document.addEventListener("click", ({target}) => {
  const row = target.closest("main tbody tr[id]");
  if (row) remember([row.id, row.nextElementSibling?.id ?? ""]);
  else if (!dialog.contains(target)) remember([]);
}, true);

function goTo(place) {
  const inside = place.matches("tr") && (place.querySelector("[popovertarget]") ?? place.querySelector(".act :is(a, button)"));
  if (!inside) place.tabIndex = -1;
  (inside || place).focus();
}

function goOn() {
  const place = [...recall(), location.hash.slice(1)].map(id => document.getElementById(id)).find(Boolean);
  if (place?.matches("main :is(tr, h2)")) goTo(place);
}

// The browser goes to the fragment itself until the page is loaded, and takes the focus away from what is not there.
if (location.hash) addEventListener("load", () => setTimeout(goOn));
