// data-largest on a file's field: a file that is larger is refused before it is sent for nothing.
document.addEventListener("change", ({target}) => {
  if (!target.dataset.largest) return;
  target.setCustomValidity(target.files[0]?.size > Number(target.dataset.largest) ? target.dataset.tooLarge : "");
  target.reportValidity();
});
