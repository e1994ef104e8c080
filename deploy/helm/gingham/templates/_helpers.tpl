{{- define "gingham.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gingham.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else if contains (include "gingham.name" .) .Release.Name }}
{{- .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "gingham.name" .) | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What a pod is chosen by: of the release, or (list . "writer") of a part of it. */}}
{{- define "gingham.release" -}}
app.kubernetes.io/part-of: gingham
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gingham.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "gingham.name" $ }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "gingham.labels" -}}
{{- $ := index . 0 -}}
{{ include "gingham.selector" . }}
app.kubernetes.io/part-of: gingham
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "gingham.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "gingham.catalogue" -}}
{{ .Values.catalogue.bucket | default .Values.catalogue.name }}
{{- end }}

{{- define "gingham.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "gingham.fullname" .) "" .Values.serviceAccount.create) }}
{{- end }}

{{- define "gingham.claim" -}}
{{ .Values.persistence.existingClaim | default (include "gingham.fullname" .) }}
{{- end }}

{{/* Whether pods call anybody. */}}
{{- define "gingham.calls" -}}
{{- if or .Values.catalogue.bucket .Values.catalogue.index }}true{{ end }}
{{- end }}

{{- define "gingham.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "gingham.environment" -}}
{{- with .Values.environment }}
env:
  {{- range $name, $value := . }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- with .Values.credentials.existingSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end }}

{{/* What all pods have in common. */}}
{{- define "gingham.pod" -}}
{{- with include "gingham.serviceAccount" . }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "gingham.placed" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with index $ $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The container that serves: (list . part options...). */}}
{{- define "gingham.server" -}}
{{- $ := index . 0 -}}
{{- $part := index . 1 -}}
- name: gingham
  image: {{ include "gingham.image" $ }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  args:
    - serve
    - {{ include "gingham.catalogue" $ }}
    {{- if eq $part "readers" }}
    - --read-only
    {{- end }}
    - --host=0.0.0.0
    - --keys=/etc/gingham/keys.json
    - --allowed-host={{ eq $part "readers" | ternary $.Values.readers.host $.Values.host }}
    {{- range $.Values.arguments }}
    - {{ . | quote }}
    {{- end }}
  {{- with include "gingham.environment" $ }}
  {{- . | nindent 2 }}
  {{- end }}
  ports:
    - name: http
      containerPort: 8000
  startupProbe:
    httpGet:
      path: /healthz
      port: http
    periodSeconds: 2
    failureThreshold: 150
  livenessProbe:
    httpGet:
      path: /healthz
      port: http
    periodSeconds: 20
    timeoutSeconds: 10
    failureThreshold: 6
  readinessProbe:
    httpGet:
      path: /readyz
      port: http
    periodSeconds: 5
    timeoutSeconds: 5
  resources:
    {{- toYaml (index $.Values $part).resources | nindent 4 }}
  securityContext:
    {{- include "gingham.confined" $ | nindent 4 }}
  volumeMounts:
    - name: data
      mountPath: /data
    - name: keys
      mountPath: /etc/gingham
      readOnly: true
    - name: temporary
      mountPath: /tmp
{{- end }}

{{/* Keys, and room for uploads. */}}
{{- define "gingham.volumes" -}}
- name: keys
  secret:
    secretName: {{ .Values.keys.existingSecret | default (printf "%s-keys" (include "gingham.fullname" .)) }}
    defaultMode: 0440
- name: temporary
  emptyDir:
    sizeLimit: {{ .Values.temporary.size }}
{{- end }}
