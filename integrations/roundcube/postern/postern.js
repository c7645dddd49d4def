// The frame that shows Postern: signs it in, says how this page looks, lets it grow, tells it about dark mode, and does
// what it asks for.
(function () {
  'use strict';
  const settings = rcmail.env.postern;
  const frame = document.querySelector('#postern iframe');
  // Milliseconds. What is Postern's own says so as soon as it has loaded; an error page of browser or proxy never does.
  const TO_LOAD = 15000, TO_ANSWER = 3000, BETWEEN_HAND_OFFS = 60000;
  const LEAST_HEIGHT = 120, MOST_HEIGHT = 20000;
  const openedAt = Date.now();
  let answeredAt = 0, isBlocked = false;

  function show(sentence) {
    sentence = isBlocked ? 'blocked' : sentence;
    for (const each of document.querySelectorAll('.postern-says')) {
      each.classList.toggle('is-said', each.id === 'postern-' + sentence);
    }
    frame.hidden = sentence !== undefined;
  }

  function unlessAnsweredSince(moment, time) {
    setTimeout(() => answeredAt < moment && show('unreachable'), time);
  }

  function sendTheme() {
    const theme = document.documentElement.classList.contains('dark-mode') ? 'dark' : 'light';
    frame.contentWindow.postMessage({ type: 'postern:theme', v: 1, theme }, settings.origin);
  }

  const answers = {
    'postern:ready'() {
      answeredAt = Date.now();
      show();
      sendTheme();
    },
    'postern:height'({ height }) {
      if (Number.isInteger(height)) {
        frame.style.height = Math.min(Math.max(height, LEAST_HEIGHT), MOST_HEIGHT) + 'px';
      }
    },
    'postern:need-top'() {
      answeredAt = Date.now();
      isBlocked = true;
      show();
    },
    // If the panel's session has ended sooner than the webmail's, this page has a fresh hand-off, once it is reloaded.
    // If the person has just ended both, any request leads to the login page.
    'postern:signed-out'() {
      if (Date.now() - openedAt > BETWEEN_HAND_OFFS) {
        location.reload();
      } else {
        rcmail.keep_alive();
      }
    },
    'postern:password-changed'({ everywhere }) {
      if (everywhere === true) {
        location.href = rcmail.get_task_url('logout') + '&_postern=changed&_token=' + rcmail.env.request_token;
      }
    },
  };

  window.addEventListener('message', function ({ origin, source, data }) {
    if (origin === settings.origin && source === frame.contentWindow && data && data.v === 1
        && Object.hasOwn(answers, data.type)) {
      answers[data.type](data);
    }
  });
  // Before Postern's first page has loaded, nobody in the frame listens.
  new MutationObserver(() => answeredAt && sendTheme())
    .observe(document.documentElement, { attributeFilter: ['class'] });
  frame.addEventListener('load', () => unlessAnsweredSince(Date.now() - TO_ANSWER, TO_ANSWER));
  unlessAnsweredSince(Date.now(), TO_LOAD);

  // What is drawn here by the skin. Postern takes over what it can, and ignores the rest.
  function look() {
    const text = getComputedStyle(document.body);
    const button = getComputedStyle(document.querySelector('#postern .btn-primary')).backgroundColor;
    const [, ...colours] = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(button) || [];
    const accent = colours.length ? '#' + colours.map(each => Number(each).toString(16).padStart(2, '0')).join('') : '';
    return { accent, font: text.fontFamily, size: text.fontSize.replace(/px$/, ''), titled: 'yes' };
  }

  // Made here, because Roundcube puts its own request token into every form of its pages.
  const form = document.createElement('form');
  Object.assign(form, { method: 'post', action: settings.url, target: frame.name, hidden: true });
  for (const [name, value] of Object.entries({ token: settings.token, next: settings.next, ...look() })) {
    form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
  }
  document.body.append(form);
  form.submit();
  form.remove();
})();
