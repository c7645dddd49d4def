<?php

require_once __DIR__ . '/fallbacks.php';

/**
 * Postern inside Roundcube.
 *
 * Settings gets Postern's own pages in a frame, signed in by a one-time hand-off: Password, Devices, Collaborations,
 * Sessions, Activity and the account's preferences. The main menu gets an entry that leads to the first of them.
 * At login the password is traded for a credential of this one webmail session, and only that is kept.
 */
class postern extends rcube_plugin
{
    private const PAGES = [
        'permissions' => '/account/permissions',
        'password' => '/account/password',
        'devices' => '/devices/',
        'collaborations' => '/collaborations/',
        'sessions' => '/account/sessions',
        'activity' => '/account/activity',
        'preferences' => '/account/preferences',
    ];
    // What nearly every account can open.
    private const USUAL_PAGES = ['password', 'devices', 'collaborations', 'sessions', 'activity', 'preferences'];
    // The mail server's answers (RFC 5530) that mean: this credential opens nothing any more.
    private const ENDED = ['AUTHENTICATIONFAILED', 'AUTHORIZATIONFAILED', 'CONTACTADMIN', 'EXPIRED'];
    private const HAND_OFF_SECONDS = 60;
    private const SERVER_SECONDS = 4;
    // Text that is no UTF-8 comes from browsers; it is no reason to say nothing.
    private const JSON = JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE;

    private $rc;
    private $fallbacks;

    public function init()
    {
        $this->rc = rcmail::get_instance();
        $this->fallbacks = new postern_fallbacks($this->rc->get_dbh());
        $this->load_config();
        $this->add_hook('startup', [$this, 'explain']);
        $this->add_hook('authenticate', [$this, 'trade_password']);
        $this->add_hook('login_after', [$this, 'note_entry']);
        $this->add_hook('login_after', [$this, 'tidy_address']);
        $this->add_hook('user_create', [$this, 'name_user']);
        $this->add_hook('identity_create', [$this, 'keep_address']);
        $this->add_hook('identity_update', [$this, 'keep_address']);
        $this->add_hook('login_after', [$this, 'mend_identities']);
        $this->add_hook('message_before_send', [$this, 'send_as_mailbox']);
        $this->add_hook('storage_connect', [$this, 'tell_address']);
        $this->add_hook('ready', [$this, 'stop_where_ended']);
        $this->add_hook('ready', [$this, 'add_entry']);
        $this->add_hook('raise_error', [$this, 'leave_where_refused']);
        $this->add_hook('session_destroy', [$this, 'end_credential']);
        $this->add_hook('logout_after', [$this, 'explain_new_password']);
        if ($this->rc->task === 'settings') {
            $this->init_settings();
        }
    }

    // --- at login, and at its end ---

    /** Exchange the password for a credential of this session; afterwards Roundcube keeps only the credential. */
    public function trade_password($login)
    {
        if (!$login['valid'] || $login['abort'] || !strlen($login['user']) || !strlen($login['pass'])) {
            return $login;
        }
        $user = $this->completed($login['user'], $login['host']);
        $address = rcube_utils::remote_addr();
        $user_agent = $_SERVER['HTTP_USER_AGENT'] ?? '';
        [$status, $answer] = $this->ask('POST', '/webmail/credentials', [
            'login' => $user,
            'password' => $login['pass'],
            'sid' => $this->session_name(),
            'address' => $address,
            'user_agent' => $user_agent,
        ]);
        if (in_array($status, [201, 401, 429])) {
            $this->tell_fallbacks();
        }
        if ($status === 201 && isset($answer['user'], $answer['password'], $answer['pages'])) {
            $_SESSION['postern_traded'] = true;
            $_SESSION['postern_pages'] = $answer['pages'];
            $_SESSION['postern_name'] = $answer['name'] ?? '';
            return ['user' => $answer['user'], 'pass' => $answer['password']] + $login;
        }
        if ($status === 401) {
            return ['abort' => true] + $login;
        }
        if ($status === 429) {
            $minutes = max(1, (int) ceil(($answer['wait'] ?? 60) / 60));
            return ['abort' => true, 'error' => $this->says('wait', ['minutes' => $minutes])] + $login;
        }
        if ($this->may_fall_back($status)) {
            $user = $this->spelled($user);
            if ($this->fallbacks->admit($user, $address, $user_agent)) {
                return ['user' => $user] + $login;
            }
        }
        return ['abort' => true, 'error' => $this->says('nologin')] + $login;
    }

    /**
     * Whether the mail server alone may judge the password, which slows down no guesses: only where that is wanted, and
     * no connection to Postern can be made at all. A guesser could cause wrong and slow answers.
     */
    private function may_fall_back($status)
    {
        if ($status !== 0 || !$this->rc->config->get('postern_fallback', false)) {
            return false;
        }
        $place = parse_url($this->server_url());
        if (empty($place['host'])) {
            return false;
        }
        $port = $place['port'] ?? (($place['scheme'] ?? '') === 'https' ? 443 : 80);
        $connection = @stream_socket_client("tcp://$place[host]:$port", $code, $trouble, self::SERVER_SECONDS);
        return $connection === false;
    }

    /** Note that the mail server let in a person who fell back. */
    public function note_entry($query)
    {
        $this->fallbacks->entered();
        return $query;
    }

    /** Postern answers: what it could not be asked about comes into its trail. What it does not take now stays. */
    private function tell_fallbacks()
    {
        foreach ($this->fallbacks->untold() as $key => $facts) {
            if ($this->ask('POST', '/webmail/fallbacks', $facts)[0] !== 204) {
                return;
            }
            $this->fallbacks->forget($key);
        }
    }

    /** A name without a domain gets the one that Roundcube would give it, which it does only after this hook. */
    private function completed($user, $host)
    {
        $domain = $this->rc->config->get('username_domain');
        $domain = is_array($domain) ? ($domain[$host] ?? '') : $domain;
        return strpos($user, '@') === false && $domain ? $user . '@' . rcube_utils::parse_host($domain, $host) : $user;
    }

    /** As the mail server knows the name, and so that each spelling of it counts as the same person's. */
    private function spelled($user)
    {
        $user = preg_replace('/^[\s\p{Z}\p{Cf}]+|[\s\p{Z}\p{Cf}]+$/u', '', $user) ?? $user;
        return (strpos($user, '@') ? rcube_utils::idn_to_ascii($user) : '') ?: $user;
    }

    /** The sentence that was in the address of the login page is not for the pages after it. */
    public function tidy_address($query)
    {
        unset($query['_postern']);
        return $query;
    }

    // --- who writes ---

    /** The first identity has the name that Postern knows, and a collaborator's the address of the mailbox. */
    public function name_user($user)
    {
        $user['user_name'] = $user['user_name'] ?: $this->name();
        if ($mailbox = $this->shared_mailbox($user['user'])) {
            $user['user_email'] = $mailbox;
            $user['email_list'] = null;
        }
        return $user;
    }

    /** Whatever a collaborator types in as an identity's address: it is the mailbox's. */
    public function keep_address($identity)
    {
        if ($mailbox = $this->shared_mailbox()) {
            $identity['record']['email'] = $mailbox;
        }
        return $identity;
    }

    /** Identities that were made before this plugin knew better, or without it. */
    public function mend_identities($query)
    {
        $mailbox = $this->shared_mailbox();
        foreach ($mailbox ? $this->rc->user->list_identities() : [] as $identity) {
            if ($identity['email_ascii'] !== $mailbox) {
                $name = $identity['name'] ?: $this->name();
                $this->rc->user->update_identity($identity['identity_id'], ['name' => $name, 'email' => $mailbox]);
            }
        }
        return $query;
    }

    /** A form can hold any sender, not only an identity. Receipts have none. */
    public function send_as_mailbox($mail)
    {
        $mailbox = $this->shared_mailbox();
        if ($mailbox && !empty($mail['from']) && $mail['from'] !== $mailbox) {
            $mail['from'] = $mailbox;
            $mail['message']->headers(['From' => format_email_recipient($mailbox, $this->name())], true);
        }
        return $mail;
    }

    private function name()
    {
        return $_SESSION['postern_name'] ?? '';
    }

    /** The mailbox that a collaborator's login opens (carla/anna@example.org); the empty text for its owner. */
    private function shared_mailbox($login = null)
    {
        [, $mailbox] = explode('/', $login ?? (string) $this->rc->get_user_name(), 2) + [1 => ''];
        return $mailbox;
    }

    // --- towards the mail server ---

    /** Dovecot counts last use and failures for the person's own address, not for this host's. */
    public function tell_address($connection)
    {
        $ident = $connection['preauth_ident'] ?? [];
        $connection['preauth_ident'] = ['x-originating-ip' => rcube_utils::remote_addr()] + $ident;
        return $connection;
    }

    /** Pages that would not ask the mail server notice an ended session as well. It costs a login with a fast hash. */
    public function stop_where_ended($request)
    {
        if (!empty($_SESSION['postern_traded']) && $request['task'] !== 'utils') {
            $this->rc->storage_connect();
        }
        return $request;
    }

    /** Roundcube reports that the mail server refused it. Was that because the session was ended elsewhere? */
    public function leave_where_refused($error)
    {
        $is_refusal = ($error['type'] ?? '') === 'imap' && (int) $error['code'] === 403;
        if ($is_refusal && $this->rc->task === 'login' && !empty($_SESSION['postern_traded'])) {
            rcube::write_log('errors', 'Postern: a new credential is refused; is this host in POSTERN_WEBMAIL_HOSTS?');
        }
        if (!$is_refusal || empty($_SESSION['user_id']) || in_array($this->rc->task, ['login', 'logout'])) {
            return $error;
        }
        $connection = $this->rc->get_storage()->conn;
        if ($connection->errornum === rcube_imap_generic::ERROR_NO && in_array($connection->resultcode, self::ENDED)) {
            $this->lead_to_login();
        }
        return $error;
    }

    public function end_credential()
    {
        if (!empty($_SESSION['postern_traded'])) {
            $this->ask('DELETE', '/webmail/credentials', ['password' => $this->rc->get_user_password()]);
            unset($_SESSION['postern_traded']);
        }
    }

    private function lead_to_login()
    {
        unset($_SESSION['postern_traded']);
        $this->rc->kill_session();
        $login = ['_task' => 'login', '_postern' => 'ended'];
        if ($this->rc->output->ajax_call || $this->rc->output->get_env('framed')) {
            $this->rc->output->show_message($this->says('ended'), 'error');
            $this->rc->output->command('session_error', $this->rc->url($login));
            $this->rc->output->send('iframe');
        }
        $this->rc->output->redirect($login);
        exit;
    }

    // --- sentences on the login page ---

    public function explain($request)
    {
        if ($request['task'] === 'login' && $this->reason() === 'ended') {
            $this->rc->output->show_message($this->says('ended'), 'warning', null, true, -1);
        }
        return $request;
    }

    public function explain_new_password()
    {
        if ($this->reason() === 'changed') {
            $this->rc->output->show_message($this->says('changed'), 'confirmation', null, true, -1);
        }
    }

    /** Why somebody was led to the login page. */
    private function reason()
    {
        return rcube_utils::get_input_string('_postern', rcube_utils::INPUT_GET);
    }

    // --- the frames in Settings, and what leads there ---

    /** “User Settings” in the menu that all pages have. */
    public function add_entry($request)
    {
        $pages = $this->pages();
        if ($this->rc->output->type === 'html' && !$this->rc->output->get_env('framed') && $pages) {
            $this->add_texts('localization/');
            $this->include_stylesheet('postern.css');
            $this->add_button([
                'type' => 'link',
                'href' => $this->rc->url(['task' => 'settings', 'action' => "plugin.postern-$pages[0]"]),
                'class' => 'postern-account',
                'innerclass' => 'inner',
                'label' => 'postern.account',
            ], 'taskbar');
        }
        return $request;
    }

    /** What the account can open, as Postern said at login; where it did not answer then, what most can. */
    private function pages()
    {
        $pages = $_SESSION['postern_pages'] ?? self::USUAL_PAGES;
        return array_values(array_intersect(array_keys(self::PAGES), $pages));
    }

    private function init_settings()
    {
        $this->add_texts('localization/');
        $this->add_hook('settings_actions', [$this, 'list_pages']);
        foreach (array_keys(self::PAGES) as $page) {
            $this->register_action("plugin.postern-$page", [$this, 'show_page']);
        }
        $this->register_action('plugin.postern-tab', [$this, 'open_tab']);
        if (strpos($this->rc->action, 'plugin.postern-') === 0) {
            $this->add_hook('common_headers', [$this, 'send_origin']);
        }
    }

    public function list_pages($settings)
    {
        foreach ($this->pages() as $page) {
            $settings['actions'][] = [
                'action' => "plugin.postern-$page",
                'class' => $page === 'password' ? $page : "postern-$page",
                'label' => $page,
                'domain' => 'postern',
            ];
        }
        return $settings;
    }

    /** With Roundcube's own "same-origin" the hand-off's Origin would be "null". */
    public function send_origin($reply)
    {
        $reply['headers']['Referrer-Policy'] = 'strict-origin';
        return $reply;
    }

    public function show_page()
    {
        $page = substr($this->rc->action, strlen('plugin.postern-'));
        $url = $this->rc->config->get('postern_url');
        // At the end of the page, where the frame is there already and Roundcube's own start need not be waited for.
        $this->rc->output->include_script($this->api->url . 'postern/postern.js', 'foot', false);
        $this->rc->output->set_env('postern', [
            'url' => "$url/handoff",
            'origin' => preg_replace('!^(https?://[^/]+).*!', '$1', $url),
            'token' => $this->hand_off(),
            'next' => self::PAGES[$page],
        ]);
        $this->register_handler('plugin.body', function () use ($page) {
            return $this->frame($page);
        });
        $this->rc->output->set_pagetitle($this->gettext($page));
        $this->rc->output->send('plugin');
    }

    private function frame($page)
    {
        $again = html::a(['href' => $this->rc->url(['action' => $this->rc->action]), 'class' => 'btn btn-primary'],
            rcube::Q($this->gettext('again')));
        $tab = $this->rc->url(['action' => 'plugin.postern-tab', '_page' => $page]);
        $tab = html::a(['href' => $tab, 'target' => '_blank', 'class' => 'btn btn-primary'],
            rcube::Q($this->gettext('tab')));
        $says = function ($id, $sentence, $way) {
            return html::div(['id' => $id, 'class' => 'postern-says', 'role' => 'alert'],
                html::p(null, rcube::Q($this->gettext($sentence))) . html::p(null, $way));
        };
        // Elastic moves this title into the header above the frame.
        return html::div('boxtitle', rcube::Q($this->gettext($page)))
            . html::div(['id' => 'postern', 'class' => 'scroller'],
            $says('postern-unreachable', 'unreachable', $again)
            . $says('postern-blocked', 'blocked', $tab)
            . html::tag('iframe', [
                'name' => 'postern',
                'title' => $this->gettext($page),
                // Named, because without a "src" of its own the frame would pass it on to Roundcube's own pages only.
                'allow' => 'clipboard-write ' . $this->rc->config->get('postern_url'),
                'src' => 'about:blank',
            ], '', ['name', 'title', 'allow', 'src'])
        );
    }

    /** The same page in a tab of its own, for browsers that keep no cookie in the frame. */
    public function open_tab()
    {
        $page = rcube_utils::get_input_string('_page', rcube_utils::INPUT_GET);
        $fields = (new html_hiddenfield(['name' => 'token', 'value' => $this->hand_off()]))->show()
            . (new html_hiddenfield(['name' => 'next', 'value' => self::PAGES[$page] ?? '/']))->show()
            . html::tag('button', [], rcube::Q($this->gettext('tab')));
        $form = html::tag('form', ['method' => 'post', 'action' => $this->rc->config->get('postern_url') . '/handoff'],
            $fields);
        header('Content-Type: text/html; charset=UTF-8');
        echo '<!DOCTYPE html><meta charset="utf-8"><title>' . rcube::Q($this->gettext('tab')) . '</title>'
            . $form . '<script>document.forms[0].submit()</script>';
        exit;
    }

    // --- what is signed ---

    /** A one-time token that says who is signed in here; good for one minute, for Postern alone. */
    private function hand_off()
    {
        return $this->signed('postern-handoff+jwt', [
            'sub' => $this->rc->get_user_name(),
            'sid' => $this->session_name(),
            'auth_time' => (int) $_SESSION['login_time'],
            'locale' => $this->rc->get_user_language(),
            'theme' => $this->theme(),
        ]);
    }

    /** Until Elastic says more: what was chosen in it, and otherwise “auto”, what the system prefers. */
    private function theme()
    {
        $chosen = $_COOKIE['colorMode'] ?? '';
        $known = in_array($chosen, ['light', 'dark'], true) ? $chosen : 'auto';
        return $this->rc->config->get('dark_mode_support') === false ? 'light' : $known;
    }

    /** The same for the whole session, whatever happens to PHP's session id, which nobody else learns. */
    private function session_name()
    {
        if (empty($_SESSION['postern_sid'])) {
            $_SESSION['postern_sid'] = self::base64url(random_bytes(32));
        }
        return $_SESSION['postern_sid'];
    }

    /** A compact JWT (RFC 7519), signed with EdDSA or HS256 as the configuration says. */
    private function signed($type, $claims)
    {
        $config = $this->rc->config;
        $algorithm = $config->get('postern_algorithm', 'EdDSA');
        $now = time();
        $claims += [
            'iss' => $config->get('postern_origin'),
            'aud' => $config->get('postern_url'),
            'iat' => $now,
            'nbf' => $now - 5,
            'exp' => $now + self::HAND_OFF_SECONDS,
            'jti' => self::base64url(random_bytes(16)),
        ];
        $head = ['alg' => $algorithm, 'typ' => $type, 'kid' => $config->get('postern_key_id')];
        $parts = [json_encode($head, self::JSON), json_encode($claims, self::JSON)];
        $text = implode('.', array_map([self::class, 'base64url'], $parts));
        $key = base64_decode($config->get('postern_key'));
        $signature = $algorithm === 'EdDSA'
            ? sodium_crypto_sign_detached($text, $key)
            : hash_hmac('sha256', $text, $key, true);
        return $text . '.' . self::base64url($signature);
    }

    private static function base64url($bytes)
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }

    /** Ask Postern, from server to server: the status (0 where there was no answer) and what it said. */
    private function ask($method, $path, $content)
    {
        try {
            $body = json_encode($content, self::JSON);
            $token = $this->signed('postern-webmail+jwt', [
                'htm' => $method,
                'htu' => $this->rc->config->get('postern_url') . $path,
                'body' => self::base64url(hash('sha256', $body, true)),
            ]);
            $answer = $this->rc->get_http_client()->request($method, $this->server_url() . $path, [
                'body' => $body,
                'headers' => ['Authorization' => "Bearer $token", 'Content-Type' => 'application/json'],
                'http_errors' => false,
                'allow_redirects' => false,
                // No proxy: passwords travel here, and a proxy's answer would not show whether Postern runs.
                'proxy' => '',
                'connect_timeout' => self::SERVER_SECONDS,
                'timeout' => self::SERVER_SECONDS,
            ]);
            [$status, $text] = [$answer->getStatusCode(), (string) $answer->getBody()];
        } catch (Throwable $trouble) {
            [$status, $text] = [0, $trouble->getMessage()];
        }
        if (!in_array($status, [201, 204, 401, 429])) {
            rcube::write_log('errors', "Postern: $method $path: " . ($status ?: $text));
        }
        return [$status, json_decode($text, true) ?: []];
    }

    private function server_url()
    {
        return $this->rc->config->get('postern_server_url') ?: $this->rc->config->get('postern_url');
    }

    private function says($sentence, $places = [])
    {
        $this->add_texts('localization/');
        return $this->gettext(['name' => $sentence, 'vars' => $places]);
    }
}
