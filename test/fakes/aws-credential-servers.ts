/**
 * The places where AWS credentials come from, on loopback, as strictly as they are documented: instance metadata (version 2 with its token, and
 * version 1 as kube2iam speaks it), the agent of EKS Pod Identity, and STS.
 *
 * Sources: EC2 User Guide, "Use the Instance Metadata Service"; SDKs and Tools Reference Guide, "Container credential provider"; STS API
 * reference, AssumeRoleWithWebIdentity; kube2iam README. May import: test/fakes.
 */
import type { IncomingMessage } from 'node:http';
import { ScriptedServer } from './scripted-server.ts';
import type { Answer } from './scripted-server.ts';

/** One session's keys; each asking gives the next, the last one for ever. */
export interface Issued {
  /** Access key ids in the order in which they are given out. */
  readonly keys: readonly string[];
  asked: number;
}

function next(issued: Issued): string {
  const key = issued.keys[Math.min(issued.asked, issued.keys.length - 1)] ?? '';
  issued.asked += 1;
  return key;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const inADay = (): string => new Date(Date.now() + DAY_MS).toISOString();
const REFUSED: Answer = { status: 401, body: '' };

/** Instance metadata. @param version 1 is what kube2iam offers: no token to be had, none asked for */
export function instanceMetadata(issued: Issued, version: 1 | 2): ScriptedServer {
  const token = 'imds-token';
  return new ScriptedServer((request) => {
    if (request.url === '/latest/api/token') {
      const isAsked = request.method === 'PUT' && request.headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined;
      if (version === 1) return { status: 404, body: '' };
      return isAsked ? { status: 200, body: token } : { status: 400, body: '' };
    }
    if (version === 2 && request.headers['x-aws-ec2-metadata-token'] !== token) return REFUSED;
    if (request.url === '/latest/meta-data/placement/region') return { status: 200, body: 'eu-west-3' };
    const role = '/latest/meta-data/iam/security-credentials/';
    if (request.url === role) return { status: 200, body: 'node-role' };
    if (request.url !== `${role}node-role`) return { status: 404, body: '' };
    return {
      status: 200,
      body: JSON.stringify({
        Code: 'Success',
        LastUpdated: new Date().toISOString(),
        Type: 'AWS-HMAC',
        AccessKeyId: next(issued),
        SecretAccessKey: 'secret',
        Token: 'session',
        Expiration: inADay(),
      }),
    };
  });
}

/** The agent of EKS Pod Identity. @param authorization what the token file holds now */
export function podIdentityAgent(issued: Issued, authorization: () => string): ScriptedServer {
  return new ScriptedServer((request) => {
    if (request.headers.authorization !== authorization()) return REFUSED;
    if (request.url !== '/v1/credentials') return { status: 404, body: '' };
    return {
      status: 200,
      body: JSON.stringify({
        AccessKeyId: next(issued),
        SecretAccessKey: 'secret',
        Token: 'session',
        AccountId: '111122223333',
        Expiration: inADay(),
      }),
    };
  });
}

/** STS. @param token the web identity token that is good now */
export function securityTokenService(issued: Issued, token: () => string): ScriptedServer {
  return new ScriptedServer((_request: IncomingMessage, body: Buffer) => {
    const form = new URLSearchParams(body.toString('utf8'));
    if (form.get('Action') !== 'AssumeRoleWithWebIdentity') return stsError('InvalidAction');
    // API reference, RoleArn: 20 characters at least.
    if ((form.get('RoleArn') ?? '').length < 20) return stsError('ValidationError');
    if (form.get('WebIdentityToken') !== token()) return stsError('InvalidIdentityToken');
    if (form.get('RoleArn') !== 'arn:aws:iam::111122223333:role/logs') return stsError('AccessDenied');
    const credentials = `<AccessKeyId>${next(issued)}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>${inADay()}</Expiration>`;
    return {
      status: 200,
      body: `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>${credentials}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    };
  });
}

function stsError(code: string): Answer {
  return {
    status: code === 'AccessDenied' ? 403 : 400,
    body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>words</Message></Error></ErrorResponse>`,
  };
}
