// Proposes the browser's time zone where another one is chosen. It is saved only with the form.
const zoneProposal = document.querySelector("[data-zone]");

if (zoneProposal) {
  const {zone: selector, automatic} = zoneProposal.dataset;
  const chosen = document.querySelector(selector);
  // Browsers call some zones by a former name: they are compared as this one calls them.
  const called = zone => new Intl.DateTimeFormat("en", {timeZone: zone}).resolvedOptions().timeZone;
  const ours = called();
  const propose = () => {
    try {
      zoneProposal.hidden = called(chosen.value || automatic) === ours;
    } catch {
      zoneProposal.hidden = false;
    }
  };

  zoneProposal.querySelector("output").textContent = ours;
  zoneProposal.querySelector("button").addEventListener("click", () => {
    const option = [...chosen.options].find(({value}) => value === ours) ?? new Option(ours);
    if (!option.parentNode) chosen.add(option);
    option.selected = true;
    propose();
    chosen.focus();
  });
  chosen.addEventListener("change", propose);
  propose();
}
