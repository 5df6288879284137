//! The messages in which kubectl writes its own kinds as protobuf, as far as its `create` commands write them; probes, hooks and the
//! like, for which they have no flag, are not read.
//!
//! A field is `NUMBER:NAME:KIND`. The kind is `str`, `int`, `bool`, `bytes`, `time`, `Quantity`, `IntOrString`, a message, or
//! `skip`; `[]` before it is a list, `{}` a map from texts, and `?` after it marks what is there even when it is zero. A field
//! without a name is a message whose fields stand in the outer one.

/// A message and its fields, one a line.
pub(super) const MESSAGES: &str = "\
ConfigMap 1:metadata:ObjectMeta 4:immutable:bool? 2:data:{}str 3:binaryData:{}bytes
ConfigMapEnvSource 1::LocalObjectReference 2:optional:bool?
ConfigMapKeySelector 1::LocalObjectReference 2:key:str 3:optional:bool?
ConfigMapProjection 1::LocalObjectReference 2:items:[]KeyToPath 4:optional:bool?
ConfigMapVolumeSource 1::LocalObjectReference 2:items:[]KeyToPath 3:defaultMode:int? 4:optional:bool? 5:defaultUser:int?
Container 1:name:str 2:image:str 3:command:[]str 4:args:[]str 5:workingDir:str 6:ports:[]ContainerPort 19:envFrom:[]EnvFromSource 7:env:[]EnvVar 8:resources:ResourceRequirements 24:restartPolicy:str? 9:volumeMounts:[]VolumeMount 13:terminationMessagePath:str 20:terminationMessagePolicy:str 14:imagePullPolicy:str 16:stdin:bool 17:stdinOnce:bool 18:tty:bool
ContainerPort 1:name:str 2:hostPort:int 3:containerPort:int 4:protocol:str 5:hostIP:str
DeleteOptions 1:gracePeriodSeconds:int? 2:preconditions:Preconditions? 3:orphanDependents:bool? 4:propagationPolicy:str? 5:dryRun:[]str
Deployment 1:metadata:ObjectMeta 2:spec:DeploymentSpec 3:status:skip
DeploymentSpec 1:replicas:int? 2:selector:LabelSelector? 3:template:PodTemplateSpec 4:strategy:DeploymentStrategy 5:minReadySeconds:int 6:revisionHistoryLimit:int? 7:paused:bool 9:progressDeadlineSeconds:int?
DeploymentStrategy 1:type:str 2:rollingUpdate:RollingUpdateDeployment?
EmptyDirVolumeSource 1:medium:str 2:sizeLimit:Quantity? 3:mode:int?
EnvFromSource 1:prefix:str 2:configMapRef:ConfigMapEnvSource? 3:secretRef:SecretEnvSource?
EnvVar 1:name:str 2:value:str 3:valueFrom:EnvVarSource?
EnvVarSource 1:fieldRef:ObjectFieldSelector? 2:resourceFieldRef:ResourceFieldSelector? 3:configMapKeyRef:ConfigMapKeySelector? 4:secretKeyRef:SecretKeySelector?
Eviction 1:metadata:ObjectMeta 2:deleteOptions:DeleteOptions?
Job 1:metadata:ObjectMeta 2:spec:JobSpec 3:status:skip
JobSpec 1:parallelism:int? 2:completions:int? 3:activeDeadlineSeconds:int? 7:backoffLimit:int? 12:backoffLimitPerIndex:int? 13:maxFailedIndexes:int? 4:selector:LabelSelector? 5:manualSelector:bool? 6:template:PodTemplateSpec 8:ttlSecondsAfterFinished:int? 9:completionMode:str? 10:suspend:bool? 14:podReplacementPolicy:str? 15:managedBy:str?
KeyToPath 1:key:str 2:path:str 3:mode:int? 4:user:int?
LabelSelector 1:matchLabels:{}str 2:matchExpressions:[]LabelSelectorRequirement
LabelSelectorRequirement 1:key:str 2:operator:str 3:values:[]str
LocalObjectReference 1:name:str
Namespace 1:metadata:ObjectMeta 2:spec:NamespaceSpec 3:status:skip
NamespaceSpec 1:finalizers:[]str
NonResourceAttributes 1:path:str 2:verb:str
ObjectFieldSelector 1:apiVersion:str 2:fieldPath:str
ObjectMeta 1:name:str 2:generateName:str 3:namespace:str 5:uid:str 6:resourceVersion:str 7:generation:int 8:creationTimestamp:time 9:deletionTimestamp:time? 10:deletionGracePeriodSeconds:int? 11:labels:{}str 12:annotations:{}str 13:ownerReferences:[]OwnerReference 14:finalizers:[]str
OwnerReference 5:apiVersion:str 1:kind:str 3:name:str 4:uid:str 6:controller:bool? 7:blockOwnerDeletion:bool?
Pod 1:metadata:ObjectMeta 2:spec:PodSpec 3:status:skip
PodSecurityContext 2:runAsUser:int? 6:runAsGroup:int? 3:runAsNonRoot:bool? 4:supplementalGroups:[]int 12:supplementalGroupsPolicy:str? 5:fsGroup:int? 9:fsGroupChangePolicy:str? 10:seccompProfile:SeccompProfile? 13:seLinuxChangePolicy:str?
PodSpec 1:volumes:[]Volume 20:initContainers:[]Container 2:containers:[]Container 3:restartPolicy:str 4:terminationGracePeriodSeconds:int? 5:activeDeadlineSeconds:int? 6:dnsPolicy:str 7:nodeSelector:{}str 8:serviceAccountName:str 9:serviceAccount:str 21:automountServiceAccountToken:bool? 10:nodeName:str 11:hostNetwork:bool 12:hostPID:bool 13:hostIPC:bool 27:shareProcessNamespace:bool? 14:securityContext:PodSecurityContext? 15:imagePullSecrets:[]LocalObjectReference 16:hostname:str 17:subdomain:str 19:schedulerName:str 22:tolerations:[]Toleration 24:priorityClassName:str 25:priority:int? 29:runtimeClassName:str? 30:enableServiceLinks:bool? 31:preemptionPolicy:str? 35:setHostnameAsFQDN:bool? 37:hostUsers:bool?
PodTemplateSpec 1:metadata:ObjectMeta 2:spec:PodSpec
Preconditions 1:uid:str? 2:resourceVersion:str?
ProjectedVolumeSource 1:sources:[]VolumeProjection 2:defaultMode:int? 3:defaultUser:int?
ResourceAttributes 1:namespace:str 2:verb:str 3:group:str 4:version:str 5:resource:str 6:subresource:str 7:name:str
ResourceFieldSelector 1:containerName:str 2:resource:str 3:divisor:Quantity
ResourceRequirements 1:limits:{}Quantity 2:requests:{}Quantity
RollingUpdateDeployment 1:maxUnavailable:IntOrString? 2:maxSurge:IntOrString?
Scale 1:metadata:ObjectMeta 2:spec:ScaleSpec 3:status:skip
ScaleSpec 1:replicas:int
SeccompProfile 1:type:str 2:localhostProfile:str?
Secret 1:metadata:ObjectMeta 5:immutable:bool? 2:data:{}bytes 4:stringData:{}str 3:type:str
SecretEnvSource 1::LocalObjectReference 2:optional:bool?
SecretKeySelector 1::LocalObjectReference 2:key:str 3:optional:bool?
SecretProjection 1::LocalObjectReference 2:items:[]KeyToPath 4:optional:bool?
SecretVolumeSource 1:secretName:str 2:items:[]KeyToPath 3:defaultMode:int? 4:optional:bool? 5:defaultUser:int?
SelfSubjectAccessReview 1:metadata:ObjectMeta 2:spec:SelfSubjectAccessReviewSpec 3:status:skip
SelfSubjectAccessReviewSpec 1:resourceAttributes:ResourceAttributes? 2:nonResourceAttributes:NonResourceAttributes?
SelfSubjectReview 1:metadata:ObjectMeta 2:status:skip
ServiceAccountTokenProjection 1:audience:str 2:expirationSeconds:int? 3:path:str 4:user:int?
Toleration 1:key:str 2:operator:str 3:value:str 4:effect:str 5:tolerationSeconds:int?
Volume 1:name:str 2::VolumeSource
VolumeMount 1:name:str 2:readOnly:bool 7:recursiveReadOnly:str? 3:mountPath:str 4:subPath:str 5:mountPropagation:str? 6:subPathExpr:str 8:bindMountOptions:[]str
VolumeProjection 1:secret:SecretProjection? 3:configMap:ConfigMapProjection? 4:serviceAccountToken:ServiceAccountTokenProjection?
VolumeSource 2:emptyDir:EmptyDirVolumeSource? 6:secret:SecretVolumeSource? 19:configMap:ConfigMapVolumeSource? 26:projected:ProjectedVolumeSource?
";

/// The fields of this message.
pub(super) fn fields(name: &str) -> Option<impl Iterator<Item = &'static str>> {
    let line = MESSAGES.lines().find(|line| line.split(' ').next() == Some(name))?;
    Some(line.split(' ').skip(1))
}
