<?php
/**
 * Hand-offs to Postern, for a webmail written in PHP: copy this file into it. Needs PHP 7.2 with sodium.
 *
 *     $config = ['url' => 'https://account.example.org', 'origin' => 'https://webmail.example.org',
 *                'key_id' => '…', 'key' => '…', 'algorithm' => 'EdDSA'];
 *     header('Referrer-Policy: strict-origin');
 *     echo postern_frame($config, '/devices/', $user, session_id(), ['locale' => 'it_IT', 'theme' => 'dark'], $nonce);
 *
 * `flask webmail add https://webmail.example.org` prints what stands in the configuration. Without that Referrer-Policy
 * Postern does not learn where the form comes from, and refuses it.
 */

/**
 * A signed hand-off for the person signed in as $login, valid once within a minute. Make one for each view, and only
 * from the webmail's own session, never from a request's data. Postern gets only a hash of $session, the session's id.
 * $claims: `locale`, `theme` (light or dark), and `auth_time`, when the session began, in seconds since the epoch.
 */
function postern_token(array $config, string $login, string $session, array $claims = []): string
{
    $now = time();
    $content = postern_part(['alg' => $config['algorithm'], 'typ' => 'postern-handoff+jwt', 'kid' => $config['key_id']])
        . '.' . postern_part([
            'iss' => $config['origin'],
            'aud' => $config['url'],
            'sub' => $login,
            'iat' => $now,
            'nbf' => $now - 5,
            'exp' => $now + 60,
            'jti' => postern_base64url(random_bytes(16)),
            'sid' => postern_base64url(hash('sha256', $session, true)),
        ] + $claims);
    $key = base64_decode($config['key'], true);
    $signature = $config['algorithm'] === 'EdDSA'
        ? sodium_crypto_sign_detached($content, $key)
        : hash_hmac('sha256', $content, $key, true);

    return $content . '.' . postern_base64url($signature);
}

/**
 * The form that posts a fresh hand-off to $target, a frame's name or `_blank`, and opens the page $next there. It sends
 * itself; without scripts it has a button. $nonce is for the webmail's content security policy, $look what the frame
 * takes over: ['accent' => '#3366cc', 'size' => '14', 'font' => 'Arial, sans-serif', 'titled' => 'yes'].
 */
function postern_form(
    array $config,
    string $next,
    string $target,
    string $login,
    string $session,
    array $claims = [],
    string $nonce = '',
    array $look = []
): string {
    $values = ['token' => postern_token($config, $login, $session, $claims), 'next' => $next] + $look;
    $fields = '';
    foreach ($values as $name => $value) {
        $fields .= sprintf('<input type="hidden" name="%s" value="%s">', $name, htmlspecialchars($value));
    }
    return sprintf(
        '<form id="postern-handoff" method="post" action="%s/handoff" target="%s">%s'
        . '<noscript><button>Continue</button></noscript></form>'
        . '<script nonce="%s">document.getElementById("postern-handoff").submit();</script>',
        htmlspecialchars($config['url']),
        htmlspecialchars($target),
        $fields,
        htmlspecialchars($nonce)
    );
}

/** The frame that shows Postern's page $next, and the form that signs the person in there. */
function postern_frame(
    array $config,
    string $next,
    string $login,
    string $session,
    array $claims = [],
    string $nonce = '',
    string $title = 'Account',
    array $look = []
): string {
    // Named, because without a "src" of its own the frame would pass the permission on to the webmail's pages only.
    $frame = '<iframe name="postern" title="%s" allow="clipboard-write %s"></iframe>';
    return sprintf($frame, htmlspecialchars($title), htmlspecialchars($config['url']))
        . postern_form($config, $next, 'postern', $login, $session, $claims, $nonce, $look);
}

function postern_part(array $content): string
{
    return postern_base64url(json_encode($content, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR));
}

function postern_base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}
