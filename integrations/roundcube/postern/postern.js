// The frame that shows Postern: signs it in, lets it grow, tells it about dark mode, and listens to what it asks for.
window.rcmail && rcmail.addEventListener('init', function () {
  'use strict';
  const settings = rcmail.env.postern;
  const frame = document.querySelector('#postern iframe');
  const SECONDS_TO_ANSWER = 10, LEAST_HEIGHT = 120, MOST_HEIGHT = 20000;

  function show(id) {
    for (const each of document.querySelectorAll('.postern-says')) {
      each.classList.toggle('is-said', each.id === id);
    }
    frame.hidden = id !== undefined;
  }

  function send(message) {
    frame.contentWindow.postMessage({ v: 1, ...message }, settings.origin);
  }

  function sendTheme() {
    const isDark = document.documentElement.classList.contains('dark-mode');
    send({ type: 'postern:theme', theme: isDark ? 'dark' : 'light' });
  }

  const answers = {
    'postern:ready'() {
      clearTimeout(patience);
      show();
      sendTheme();
      new MutationObserver(sendTheme).observe(document.documentElement, { attributeFilter: ['class'] });
      answers['postern:ready'] = sendTheme;
    },
    'postern:height'({ height }) {
      if (Number.isInteger(height)) {
        frame.style.height = Math.min(Math.max(height, LEAST_HEIGHT), MOST_HEIGHT) + 'px';
      }
    },
    'postern:need-top'() {
      clearTimeout(patience);
      show('postern-blocked');
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

  const patience = setTimeout(() => show('postern-unreachable'), SECONDS_TO_ANSWER * 1000);
  // Made here, because Roundcube puts its own request token into every form of its pages.
  const form = document.createElement('form');
  Object.assign(form, { method: 'post', action: settings.url, target: frame.name, hidden: true });
  for (const name of ['token', 'next']) {
    form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value: settings[name] }));
  }
  document.body.append(form);
  form.submit();
  form.remove();
});
