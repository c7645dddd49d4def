// In a webmail's frame: height and news for the webmail, its theme for us. Both ways with its own origin alone.
const webmails = parent === window ? [] : document.documentElement.dataset.webmails?.split(" ") ?? [];

function tell(type, facts) {
  for (const origin of webmails) parent.postMessage({type: `postern:${type}`, v: 1, ...facts}, origin);
}

// What a page or a fragment has for the webmail, the first of it; once.
function tellNews() {
  const news = document.querySelector("[data-tell]");
  if (!news) return;
  const {tell: type, everywhere} = news.dataset;
  tell(type, everywhere ? {everywhere: everywhere === "yes"} : {});
  for (const told of document.querySelectorAll("[data-tell]")) delete told.dataset.tell;
}

// The frame is as tall as the page, so what is visible of it is known only where it meets the window.
function placeDialog() {
  new IntersectionObserver(([{intersectionRect: visible}], observer) => {
    observer.disconnect();
    dialog.style.setProperty("--visible-start", `${visible.top}px`);
    dialog.style.setProperty("--visible-size", `${visible.height}px`);
  }).observe(document.documentElement);
}

if (webmails.length) {
  new ResizeObserver(() => tell("height", {height: Math.ceil(document.body.getBoundingClientRect().height)}))
    .observe(document.body);
  new MutationObserver(placeDialog).observe(dialog, {attributeFilter: ["open"]});
  addEventListener("resize", placeDialog);

  addEventListener("message", ({source, origin, data}) => {
    if (source !== parent || !webmails.includes(origin)) return;
    if (data?.type !== "postern:theme" || data.v !== 1 || !["light", "dark"].includes(data.theme)) return;
    document.documentElement.dataset.theme = data.theme;
    document.querySelector("meta[name=color-scheme]").content = data.theme;
  });

  // The webmail's Back is not ours: links and redirections replace the page in the frame.
  document.addEventListener("click", event => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.target || link.download || link.origin !== location.origin) return;
    if (link.hash && link.pathname + link.search === location.pathname + location.search) return;
    event.preventDefault();
    location.replace(link.href);
  });

  document.addEventListener("htmx:after:request", event => {
    const {redirect} = event.detail.ctx.hx;
    if (!redirect) return;
    event.preventDefault();
    location.replace(redirect);
  });

  document.addEventListener("htmx:after:settle", tellNews);
  tell("ready");
  tellNews();
}
